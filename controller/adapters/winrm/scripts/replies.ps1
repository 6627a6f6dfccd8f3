# What can be asked of a node, and the replies to it. See docs/protocol.md.

$JsonDepth = 12  # observe nests six deep

$Operations = @{
    ping         = 'Invoke-Ping'
    observe      = 'Invoke-Observe'
    doctor       = 'Invoke-Doctor'
    moveTrace    = 'Invoke-MoveTrace'
    moveRole     = 'Invoke-MoveRole'
    startRole    = 'Invoke-StartRole'
    setRole      = 'Invoke-SetRole'
    setProcessor = 'Invoke-SetProcessor'
    registerVm   = 'Invoke-RegisterVm'
    createVm     = 'Invoke-CreateVm'
    claimEpoch   = 'Invoke-ClaimEpoch'
    suspendNode  = 'Invoke-SuspendNode'
    resumeNode   = 'Invoke-ResumeNode'
    setFolders   = 'Invoke-SetFolders'
}

function ConvertTo-Payload($Value) {
    $json = ConvertTo-Json -InputObject $Value -Depth $JsonDepth -Compress
    return [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($json))
}

function ConvertFrom-Payload([string]$Payload) {
    $strict = [Text.UTF8Encoding]::new($false, $true)
    return ConvertFrom-Json -InputObject $strict.GetString([Convert]::FromBase64String($Payload))
}

function Compress-Json($Value) {
    return Compress-Text (ConvertTo-Json -InputObject $Value -Depth $JsonDepth -Compress)
}

# Base64 of the gzip of a text.
function Compress-Text([string]$Text) {
    $bytes = [Text.Encoding]::UTF8.GetBytes($Text)
    $buffer = [IO.MemoryStream]::new()
    $packer = [IO.Compression.GZipStream]::new($buffer, [IO.Compression.CompressionMode]::Compress)
    $packer.Write($bytes, 0, $bytes.Length)
    $packer.Close()
    return [Convert]::ToBase64String($buffer.ToArray())
}

function New-Reply([string]$Id, $Operation, $Data, $Entry) {
    return [ordered]@{
        schema    = 'ownernode.io/reply/v1'
        id        = $Id
        operation = $Operation
        ok        = $null -eq $Entry
        data      = $Data
        errors    = @(if ($null -ne $Entry) { $Entry })
    }
}

function New-BadCall([string]$Message) {
    return [ordered]@{
        kind     = 'BadCall'
        category = $null
        type     = $null
        hresult  = $null
        message  = Get-Shortened $Message
    }
}

# Executes one operation; whatever goes wrong becomes an error reply.
function Get-OperationReply([string]$Id, [string]$Operation, $Arguments) {
    $function = $Operations[$Operation]
    try {
        return New-Reply $Id $Operation (& $function @Arguments) $null
    } catch {
        $entry = ConvertTo-ErrorEntry $_
        # Arguments that the operation's own parameters refuse: nothing of it was executed.
        $refusedByBinder = $_.Exception -is [Management.Automation.ParameterBindingException]
        if ($refusedByBinder -and $entry['kind'].Split(',')[-1].Equals($function)) {
            $entry = New-BadCall $entry['message']
        }
        return New-Reply $Id $Operation $null $entry
    }
}
