# What the JEA endpoint offers: the operations of docs/protocol.md, one function each, nothing else.
#
# The work is done by the scripts in the folder beside this file, the very ones that the agent
# runs. Here are the functions' parameters, which check everything that comes in, because a session
# in NoLanguage mode is only as safe as what its functions accept. Each function returns one text:
# base64 of the gzip of the reply. The same call id again gives the same text and does nothing, so
# that a call whose answer was lost can be repeated.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'

$Parts = 'conditions', 'doctor', 'job', 'observe', 'operations', 'replies', 'trace', 'values'
foreach ($part in $Parts) { . "$PSScriptRoot/scripts/$part.ps1" }

# A registration or creation runs in a process of its own, as the agent's do, and lives no longer
# than this session. The host of a remote session can't be started a second time.
$SessionHost = [Diagnostics.Process]::GetCurrentProcess()
$JobProgram = $SessionHost.MainModule.FileName
if ($SessionHost.ProcessName -ieq 'wsmprovhost') {
    $JobProgram = "$([Environment]::SystemDirectory)\WindowsPowerShell\v1.0\powershell.exe"
}
$JobBootstrap = [IO.File]::ReadAllText("$PSScriptRoot/scripts/bootstrap.ps1")
$JobSwitches = '-NoLogo -NoProfile -NonInteractive -InputFormat None -OutputFormat Text ' +
    '-EncodedCommand ' + [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($JobBootstrap))
$AgentLine = Compress-Text ([string]::Join([string][char]10, [string[]]@(
    foreach ($part in @($Parts) + 'agent') {
        [IO.File]::ReadAllText("$PSScriptRoot/scripts/$part.ps1")
    }
)))

$LastCall = ''
$LastAnswer = ''

# One runspace carries out one call after another, so that there is one last call.
function Get-Answer([string]$Operation, [string]$CallId, $Given) {
    if (-not $CallId.Equals($script:LastCall)) {
        $arguments = @{}
        foreach ($name in $Given.Keys) {
            if ($name -ine 'CallId') { $arguments[$name] = $Given[$name] }
        }
        $reply = Get-OperationReply $CallId $Operation $arguments
        $script:LastAnswer = Compress-Json $reply
        $script:LastCall = $CallId
    }
    return $script:LastAnswer
}

function Invoke-OwnernodePing {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId
    )
    Get-Answer 'ping' $CallId $PSBoundParameters
}

function Invoke-OwnernodeDoctor {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId
    )
    Get-Answer 'doctor' $CallId $PSBoundParameters
}

function Invoke-OwnernodeObserve {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId,
        [Parameter(Mandatory = $true)][bool]$ClusterWide,
        [ValidateRange(0, 2147483647)][int]$SlowSeconds = 0
    )
    Get-Answer 'observe' $CallId $PSBoundParameters
}

function Invoke-OwnernodeMoveTrace {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][ValidateRange(0, 2147483647)][int]$Seconds
    )
    Get-Answer 'moveTrace' $CallId $PSBoundParameters
}

function Invoke-OwnernodeClaimEpoch {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId,
        [Parameter(Mandatory = $true)][ValidateRange(0, 2147483647)][int]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder
    )
    Get-Answer 'claimEpoch' $CallId $PSBoundParameters
}

function Invoke-OwnernodeMoveRole {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId,
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][ValidateRange(0, 2147483647)][int]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9_-]{1,15}\z')][string]$Source,
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9_-]{1,15}\z')][string]$Target
    )
    Get-Answer 'moveRole' $CallId $PSBoundParameters
}

function Invoke-OwnernodeStartRole {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId,
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][ValidateRange(0, 2147483647)][int]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9_-]{1,15}\z')][string]$Node
    )
    Get-Answer 'startRole' $CallId $PSBoundParameters
}

function Invoke-OwnernodeSetRole {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId,
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][ValidateRange(0, 2147483647)][int]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9_-]{1,15}\z')][string]$Node,
        [Parameter(Mandatory = $true)]
        [ValidatePattern('\A(Failback|PossibleOwners|PreferredOwners|Priority)\z', Options = 'None')]
        [string]$Setting,
        [Parameter(Mandatory = $true)][AllowEmptyCollection()][ValidateCount(0, 64)]
        [ValidatePattern('\A[A-Za-z0-9_-]{1,15}\z')][string[]]$Before,
        [Parameter(Mandatory = $true)][ValidateCount(1, 64)]
        [ValidatePattern('\A[A-Za-z0-9_-]{1,15}\z')][string[]]$After
    )
    Get-Answer 'setRole' $CallId $PSBoundParameters
}

function Invoke-OwnernodeSetProcessor {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId,
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][ValidateRange(0, 2147483647)][int]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9_-]{1,15}\z')][string]$Node
    )
    Get-Answer 'setProcessor' $CallId $PSBoundParameters
}

function Invoke-OwnernodeRegisterVm {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId,
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][ValidateRange(0, 2147483647)][int]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9_-]{1,15}\z')][string]$Node,
        [AllowEmptyCollection()][ValidateCount(0, 8)]
        [ValidatePattern('\A[A-Za-z]{1,32}\z')][string[]]$Accepts = @()
    )
    Get-Answer 'registerVm' $CallId $PSBoundParameters
}

function Invoke-OwnernodeCreateVm {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId,
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][ValidateRange(0, 2147483647)][int]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9_-]{1,15}\z')][string]$Node,
        [Parameter(Mandatory = $true)]
        [ValidatePattern('\A[A-Za-z0-9]([A-Za-z0-9 ._-]{0,98}[A-Za-z0-9_-])?\z')][string]$Name,
        [Parameter(Mandatory = $true)]
        [ValidateScript({ $null = ConvertTo-Template $_; $true })][Collections.IDictionary]$Template
    )
    $given = @{} + $PSBoundParameters
    $given['Template'] = ConvertTo-Template $Template
    Get-Answer 'createVm' $CallId $given
}

# ---- what a template may hold: an unknown name or a value out of its range is an error ----

function ConvertTo-Template([Collections.IDictionary]$Given) {
    $known = Get-Known $Given
    return New-Template @known
}

# Null is what is not wanted.
function Get-Known([Collections.IDictionary]$Given) {
    $known = @{}
    foreach ($name in $Given.Keys) {
        if ($null -ne $Given[$name]) { $known[[string]$name] = $Given[$name] }
    }
    return $known
}

function New-Template {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidateSet(1, 2)][int]$Generation,
        [Parameter(Mandatory = $true)]
        [ValidateRange(33554432, 281474976710656)][long]$MemoryStartupBytes,
        [ValidateRange(33554432, 281474976710656)][Nullable[long]]$MemoryMinimumBytes,
        [ValidateRange(33554432, 281474976710656)][Nullable[long]]$MemoryMaximumBytes,
        [Parameter(Mandatory = $true)][ValidateRange(1, 2048)][int]$Processors,
        [bool]$ProcessorCompatibility = $false,
        [Parameter(Mandatory = $true)]
        [ValidatePattern('\A[A-Za-z]:(\\[^\x00-\x1f\\/:*?"<>|]{1,240})+\z')][string]$Location,
        [AllowEmptyCollection()][ValidateCount(0, 64)][object[]]$Disks = @(),
        [ValidatePattern('\A[A-Za-z0-9 ._-]{1,64}\z')][string]$SecureBootTemplate,
        [ValidatePattern('\A[^\x00-\x1f*?\[\]]{1,256}\z')][string]$Switch,
        [ValidateRange(1, 4094)][Nullable[int]]$Vlan,
        [ValidatePattern('\A[A-Za-z]:(\\[^\x00-\x1f\\/:*?"<>|]{1,240})+\.[Ii][Ss][Oo]\z')]
        [string]$Iso,
        [ValidatePattern('\A[A-Za-z]:\z')][string]$PhysicalDrive,
        [bool]$NetworkBoot = $false,
        [ValidateSet('Save', 'ShutDown')][string]$StopAction
    )
    return [pscustomobject]@{
        generation             = $Generation
        memoryStartupBytes     = $MemoryStartupBytes
        memoryMinimumBytes     = $MemoryMinimumBytes
        memoryMaximumBytes     = $MemoryMaximumBytes
        processors             = $Processors
        processorCompatibility = $ProcessorCompatibility
        location               = $Location
        disks                  = @(foreach ($disk in $Disks) {
            $known = Get-Known $disk
            New-TemplateDisk @known
        })
        secureBootTemplate     = ConvertTo-Text $SecureBootTemplate
        switch                 = ConvertTo-Text $Switch
        vlan                   = $Vlan
        iso                    = ConvertTo-Text $Iso
        physicalDrive          = ConvertTo-Text $PhysicalDrive
        networkBoot            = $NetworkBoot
        stopAction             = ConvertTo-Text $StopAction
    }
}

function New-TemplateDisk {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)]
        [ValidatePattern('\A[A-Za-z]:(\\[^\x00-\x1f\\/:*?"<>|]{1,240})+\.[Vv][Hh][Dd][Xx]?\z')]
        [string]$Path,
        [ValidateRange(1, 70368744177664)][Nullable[long]]$CreateBytes,
        [Parameter(Mandatory = $true)][ValidateSet('IDE', 'SCSI')][string]$Controller
    )
    return [pscustomobject]@{
        path        = $Path
        createBytes = $CreateBytes
        controller  = $Controller
    }
}

function Invoke-OwnernodeSuspendNode {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId,
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][ValidateRange(0, 2147483647)][int]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9_-]{1,15}\z')][string]$Node
    )
    Get-Answer 'suspendNode' $CallId $PSBoundParameters
}

function Invoke-OwnernodeResumeNode {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId,
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][ValidateRange(0, 2147483647)][int]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9_-]{1,15}\z')][string]$Node
    )
    Get-Answer 'resumeNode' $CallId $PSBoundParameters
}

function Invoke-OwnernodeSetFolders {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9-]{1,64}\z')][string]$CallId,
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][ValidateRange(0, 2147483647)][int]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][ValidatePattern('\A[A-Za-z0-9_-]{1,15}\z')][string]$Node,
        [Parameter(Mandatory = $true)][ValidateCount(2, 2)]
        [ValidatePattern('\A[^\x00-\x1f]{1,1024}\z')][string[]]$Before,
        [Parameter(Mandatory = $true)][ValidateLength(1, 240)]
        [ValidatePattern('\A[A-Za-z]:(\\[A-Za-z0-9_]([A-Za-z0-9 ._()-]*[A-Za-z0-9_()-])?){3,}\z')]
        [string]$Folder
    )
    Get-Answer 'setFolders' $CallId $PSBoundParameters
}

Export-ModuleMember -Function @(
    'Invoke-OwnernodePing', 'Invoke-OwnernodeDoctor', 'Invoke-OwnernodeObserve',
    'Invoke-OwnernodeClaimEpoch', 'Invoke-OwnernodeMoveRole', 'Invoke-OwnernodeStartRole',
    'Invoke-OwnernodeSetRole', 'Invoke-OwnernodeSetProcessor',
    'Invoke-OwnernodeRegisterVm', 'Invoke-OwnernodeCreateVm', 'Invoke-OwnernodeMoveTrace',
    'Invoke-OwnernodeSuspendNode', 'Invoke-OwnernodeResumeNode', 'Invoke-OwnernodeSetFolders'
)
