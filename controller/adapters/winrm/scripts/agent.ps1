# The agent: answers framed calls, one at a time, until stdin ends. See docs/protocol.md.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'

$PieceBytes = 36864  # gives 49,152 characters of base64, the longest payload of a line
$AgentOutput = [Console]::OpenStandardOutput()
# A job is started as this process was. Switches and the bootstrap only, as winrshost got them: none
# needs quotes, none holds data.
$JobProgram = [Diagnostics.Process]::GetCurrentProcess().MainModule.FileName
$AgentSwitches = [Environment]::GetCommandLineArgs()
$JobSwitches = [string]::Join(' ', $AgentSwitches, 1, $AgentSwitches.Count - 1)

# One write for all lines: each would become an element of its own in WinRM's answer.
function Write-Lines([string[]]$Lines) {
    $text = [string]::Join([string][char]10, $Lines) + [char]10
    $bytes = [Text.Encoding]::ASCII.GetBytes($text)
    $AgentOutput.Write($bytes, 0, $bytes.Length)
    $AgentOutput.Flush()
}

# A value as frames: pieces of its gzip bytes, the last one `done`.
function Get-Frames([string]$Id, $Value) {
    $bytes = [Convert]::FromBase64String((Compress-Json $Value))
    for ($at = 0; $at -lt $bytes.Length; $at += $PieceBytes) {
        $count = [Math]::Min($PieceBytes, $bytes.Length - $at)
        $kind = $(if ($at + $count -eq $bytes.Length) { 'done' } else { 'part' })
        'HV1 {0} {1} {2}' -f $Id, $kind, [Convert]::ToBase64String($bytes, $at, $count)
    }
}

# Executes a call; whatever goes wrong becomes an error reply.
function Get-Reply([string]$Id, [string]$Payload) {
    try {
        $call = ConvertFrom-Payload $Payload
        $operation = [string]$call.operation
        $arguments = @{}
        foreach ($property in $call.arguments.PSObject.Properties) {
            $arguments[$property.Name] = $property.Value
        }
    } catch { return New-Reply $Id $null $null (New-BadCall 'The call cannot be read.') }
    if (-not @($Operations.Keys | Where-Object { $_.Equals($operation) }).Count) {
        return New-Reply $Id $operation $null (New-BadCall 'There is no such operation.')
    }
    return Get-OperationReply $Id $operation $arguments
}

# Reads calls until stdin ends. A repeated id gets the same lines again and executes nothing.
function Invoke-Agent {
    $hash = [Security.Cryptography.SHA256CryptoServiceProvider]::new()
    $digest = $hash.ComputeHash([Text.Encoding]::UTF8.GetBytes($AgentText))
    $self = Invoke-Ping
    Write-Lines ('HV1 0 ready ' + (Compress-Json ([ordered]@{
        protocol   = 1
        agent      = [BitConverter]::ToString($digest).Replace('-', '').ToLowerInvariant()
        node       = $self['node']
        powershell = $self['powershell']
    })))
    $lastId = ''
    $lastLines = @()
    while ($null -ne ($line = $AgentInput.ReadLine())) {
        $match = [regex]::Match($line, '\AHV1 ([A-Za-z0-9-]{1,64}) call ([^ ]*)\z')
        $id = $match.Groups[1].Value
        if (-not $match.Success -or $id.Equals('0')) { continue }
        if (-not $id.Equals($lastId)) {
            $lastLines = @(Get-Frames $id (Get-Reply $id $match.Groups[2].Value))
            $lastId = $id
        }
        Write-Lines $lastLines
    }
}

if ([Environment]::GetEnvironmentVariable('OWNERNODE_JOB')) { Invoke-Job } else { Invoke-Agent }
