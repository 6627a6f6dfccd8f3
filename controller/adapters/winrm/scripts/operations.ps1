# The operations that change something. Each checks its conditions and acts at once.
#
# Nothing here ends, saves or deletes anything: the cmdlets for it do not occur in these scripts.

$MoveConditions = @(
    'vmHere', 'roleExists', 'owner', 'vmRunning', 'roleOnline', 'notQueued', 'notLocked',
    'noMigration', 'notBusy', 'targetExists', 'targetUp', 'targetNotDraining',
    'targetNotIsolated', 'targetNotQuarantined', 'targetNotAvoided', 'targetPossible'
)
$StartConditions = @(
    'vmHere', 'roleExists', 'owner', 'vmOff', 'roleOffline', 'notQueued', 'notLocked',
    'noMigration', 'notBusy', 'nodeUp'
)
$RegisterConditions = @(
    'intentNew', 'vmHere', 'notClustered', 'roleNameFree', 'vmAtRest', 'noMigration', 'notBusy',
    'nodeUp'
)
$CreateConditions = @(
    'intentNew', 'nameFree', 'roleNameFree', 'nodeUp', 'folderFree', 'disksFree', 'disksExist',
    'disksUnattached', 'mediaExists', 'switchExists', 'volumeHasRoom'
)

function Get-Submitted {
    return [ordered]@{ outcome = 'submitted' }
}

# Live-migrates a running role. Without waiting: what becomes of it shows in later observations.
function Invoke-MoveRole {
    param(
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][string]$Source,
        [Parameter(Mandatory = $true)][string]$Target
    )
    $case = @{ vmId = $VmId; owner = $Source; target = $Target }
    $refusal = Find-Refusal $MoveConditions $case
    if ($null -ne $refusal) { return $refusal }
    $node = $case['targetNode'].name
    $null = Move-ClusterVirtualMachineRole -VMId $VmId -Node $node -MigrationType Live -Wait 0
    return Get-Submitted
}

# Brings an offline role online where it is. By object: names are wildcards to some cmdlets.
function Invoke-StartRole {
    param(
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][string]$Node
    )
    $case = @{ vmId = $VmId; owner = $Node }
    $refusal = Find-Refusal $StartConditions $case
    if ($null -ne $refusal) { return $refusal }
    $null = Start-ClusterGroup -InputObject $case['group'] -Wait 0
    return Get-Submitted
}

# Makes a VM of this node highly available, in a process of its own.
function Invoke-RegisterVm {
    param(
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][string]$Node
    )
    $case = @{ intent = $Intent.ToString('D'); vmId = $VmId }
    $refusal = Find-Refusal $RegisterConditions $case
    if ($null -ne $refusal) { return $refusal }
    Start-NodeJob 'registerVm' $case['intent'] @{ vmId = $VmId.ToString('D') }
    return Get-Submitted
}

# Creates a VM on this node, in a process of its own.
function Invoke-CreateVm {
    param(
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][string]$Node,
        [Parameter(Mandatory = $true)][string]$Name,
        [Parameter(Mandatory = $true)][psobject]$Template
    )
    $case = @{ intent = $Intent.ToString('D'); name = $Name; template = $Template }
    $refusal = Find-Refusal $CreateConditions $case
    if ($null -ne $refusal) { return $refusal }
    $arguments = @{ intent = $case['intent']; name = $Name; template = $Template }
    Start-NodeJob 'createVm' $case['intent'] $arguments
    return Get-Submitted
}
