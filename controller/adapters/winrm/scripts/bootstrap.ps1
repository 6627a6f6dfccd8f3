# Sent as -EncodedCommand. cmd.exe leaves room for some 2,900 characters: it only fetches the agent.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$AgentInput = [IO.StreamReader]::new([Console]::OpenStandardInput(), [Text.Encoding]::ASCII)
$AgentLine = $AgentInput.ReadLine()
$packed = [IO.MemoryStream]::new([Convert]::FromBase64String($AgentLine))
$unpacked = [IO.Compression.GZipStream]::new($packed, [IO.Compression.CompressionMode]::Decompress)
$AgentText = [IO.StreamReader]::new($unpacked, [Text.Encoding]::UTF8).ReadToEnd()
. ([scriptblock]::Create($AgentText))
