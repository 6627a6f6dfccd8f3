# The operations that change something. Each checks its conditions and acts at once.
#
# Nothing here ends, saves or deletes anything: the cmdlets for it do not occur in these scripts.

# Before every change: nobody forbade it, and the caller still holds the cluster.
$FenceConditions = @('notStopped', 'epochCurrent')
$ClaimConditions = @('notStopped', 'epochOlder')
$MoveConditions = $FenceConditions + @(
    'vmHere', 'roleExists', 'owner', 'vmRunning', 'roleOnline', 'notQueued', 'notLocked',
    'noMigration', 'notBusy', 'targetExists', 'targetUp', 'targetNotDraining',
    'targetNotIsolated', 'targetNotQuarantined', 'targetNotAvoided', 'targetPossible',
    'mediaShared'
)
$StartConditions = $FenceConditions + @(
    'vmHere', 'roleExists', 'owner', 'vmOff', 'roleOffline', 'notQueued', 'notLocked',
    'noMigration', 'notBusy', 'nodeUp'
)
$SetRoleConditions = $FenceConditions + @(
    'vmHere', 'roleExists', 'owner', 'notQueued', 'notLocked', 'noMigration', 'notBusy',
    'settingUnchanged', 'ownersExist', 'ownerKept'
)
$SetProcessorConditions = $FenceConditions + @('vmHere', 'vmOff', 'noMigration', 'notBusy')
$RegisterConditions = $FenceConditions + @(
    'intentNew', 'vmHere', 'notClustered', 'roleNameFree', 'vmAtRest', 'noMigration', 'notBusy',
    'nodeUp', 'storageShared'
)
$CreateConditions = $FenceConditions + @(
    'intentNew', 'nameFree', 'roleNameFree', 'nodeUp', 'folderFree', 'disksFree', 'disksExist',
    'disksUnattached', 'mediaExists', 'driveExists', 'switchExists', 'volumeHasRoom'
)
$SuspendConditions = $FenceConditions + @('nodeHere', 'nodeUp', 'othersUp')
$ResumeConditions = $FenceConditions + @('nodeHere', 'nodeOnlyPaused')
$SetFoldersConditions = $FenceConditions + @(
    'nodeHere', 'nodeUp', 'foldersUnchanged', 'folderShared', 'folderExists'
)

function Get-Submitted {
    return [ordered]@{ outcome = 'submitted' }
}

# What the conditions of a change look at.
function New-Case([long]$Epoch, [guid]$Holder, $Rest) {
    $Rest['epoch'] = $Epoch
    $Rest['holder'] = $Holder.ToString('D')
    return $Rest
}

# Makes the caller the one whose changes are carried out. The holder is written first: broken off
# in between, the old epoch is nobody's, and whoever claimed sees that it must claim again.
function Invoke-ClaimEpoch {
    param(
        [Parameter(Mandatory = $true)][int]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder
    )
    $case = New-Case $Epoch $Holder @{}
    $refusal = Find-Refusal $ClaimConditions $case
    if ($null -ne $refusal) { return $refusal }
    $cluster = $case['cluster']
    $null = Set-ClusterParameter -InputObject $cluster -Name 'OwnernodeHolder' `
        -Value $case['holder'] -Create
    $null = Set-ClusterParameter -InputObject $cluster -Name 'OwnernodeEpoch' `
        -Value $Epoch -Create
    return Get-Submitted
}

# Live-migrates a running role. Without waiting: what becomes of it shows in later observations.
function Invoke-MoveRole {
    param(
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][long]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][string]$Source,
        [Parameter(Mandatory = $true)][string]$Target
    )
    $case = New-Case $Epoch $Holder @{ vmId = $VmId; owner = $Source; target = $Target }
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
        [Parameter(Mandatory = $true)][long]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][string]$Node
    )
    $case = New-Case $Epoch $Holder @{ vmId = $VmId; owner = $Node }
    $refusal = Find-Refusal $StartConditions $case
    if ($null -ne $refusal) { return $refusal }
    $null = Start-ClusterGroup -InputObject $case['group'] -Wait 0
    return Get-Submitted
}

# Writes one setting of a role at rest. Its owner node stays a possible owner in every case.
function Invoke-SetRole {
    param(
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][long]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][string]$Node,
        [Parameter(Mandatory = $true)]
        [ValidateSet(
            'Failback', 'PossibleOwners', 'PreferredOwners', 'Priority', IgnoreCase = $false
        )]
        [string]$Setting,
        [Parameter(Mandatory = $true)][AllowEmptyCollection()][string[]]$Before,
        [Parameter(Mandatory = $true)][string[]]$After
    )
    $case = New-Case $Epoch $Holder @{
        vmId = $VmId
        owner = $Node
        setting = $Setting
        before = $Before
        after = $After
    }
    $refusal = Find-Refusal $SetRoleConditions $case
    if ($null -ne $refusal) { return $refusal }
    $group = $case['group']
    switch -CaseSensitive ($Setting) {
        'Failback' { $group.AutoFailbackType = 0 }
        'PossibleOwners' {
            foreach ($kind in 'Virtual Machine', 'Virtual Machine Configuration') {
                $resource = Find-Resource (Get-CaseResources $case) $kind
                $null = Set-ClusterOwnerNode -InputObject $resource -Owners $After
            }
        }
        'PreferredOwners' { $null = Set-ClusterOwnerNode -InputObject $group -Owners $After }
        'Priority' { $group.Priority = [int]$After[0] }
    }
    return Get-Submitted
}

# Lets a VM that is off move to other models of its processor from its next start on.
function Invoke-SetProcessor {
    param(
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][long]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][string]$Node
    )
    $case = New-Case $Epoch $Holder @{ vmId = $VmId; owner = $Node }
    $refusal = Find-Refusal $SetProcessorConditions $case
    if ($null -ne $refusal) { return $refusal }
    $vm = @(Find-Vm $VmId)[0]
    $null = Set-VMProcessor -VM $vm -CompatibilityForMigrationEnabled $true
    # So that the next look reads it anew.
    $Kept.Remove($VmId.ToString('D'))
    return Get-Submitted
}

# Makes a VM of this node highly available, in a process of its own.
function Invoke-RegisterVm {
    param(
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][long]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][string]$Node,
        [string[]]$Accepts = @()
    )
    $case = New-Case $Epoch $Holder @{
        intent = $Intent.ToString('D')
        vmId = $VmId
        accepts = $Accepts
    }
    $refusal = Find-Refusal $RegisterConditions $case
    if ($null -ne $refusal) { return $refusal }
    $arguments = @{ vmId = $VmId.ToString('D'); epoch = $Epoch; holder = $case['holder'] }
    Start-NodeJob 'registerVm' $case['intent'] $arguments
    return Get-Submitted
}

# Creates a VM on this node, in a process of its own.
function Invoke-CreateVm {
    param(
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][long]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][string]$Node,
        [Parameter(Mandatory = $true)][string]$Name,
        [Parameter(Mandatory = $true)][psobject]$Template
    )
    $case = New-Case $Epoch $Holder @{
        intent = $Intent.ToString('D')
        name = $Name
        template = $Template
    }
    $refusal = Find-Refusal $CreateConditions $case
    if ($null -ne $refusal) { return $refusal }
    $arguments = @{
        intent = $case['intent']
        name = $Name
        template = $Template
        epoch = $Epoch
        holder = $case['holder']
    }
    Start-NodeJob 'createVm' $case['intent'] $arguments
    return Get-Submitted
}

# Pauses this node and moves nothing: no role comes to it any more, and those on it stay.
function Invoke-SuspendNode {
    param(
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][long]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][string]$Node
    )
    $case = New-Case $Epoch $Holder @{ node = $Node }
    $refusal = Find-Refusal $SuspendConditions $case
    if ($null -ne $refusal) { return $refusal }
    $null = Suspend-ClusterNode -InputObject $case['local']
    return Get-Submitted
}

# Ends the pause of this node; nothing is moved back to it.
function Invoke-ResumeNode {
    param(
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][long]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][string]$Node
    )
    $case = New-Case $Epoch $Holder @{ node = $Node }
    $refusal = Find-Refusal $ResumeConditions $case
    if ($null -ne $refusal) { return $refusal }
    $null = Resume-ClusterNode -InputObject $case['local'] -Failback NoFailback
    return Get-Submitted
}

# Names the folder for new VMs and new disks of this node, where nobody names another. Nothing that
# exists is moved, and no folder is made.
function Invoke-SetFolders {
    param(
        [Parameter(Mandatory = $true)][guid]$Intent,
        [Parameter(Mandatory = $true)][long]$Epoch,
        [Parameter(Mandatory = $true)][guid]$Holder,
        [Parameter(Mandatory = $true)][string]$Node,
        [Parameter(Mandatory = $true)][string[]]$Before,
        [Parameter(Mandatory = $true)][string]$Folder
    )
    # Whatever comes of it, the next look reads them anew.
    $Kept.Remove('')
    $case = New-Case $Epoch $Holder @{ node = $Node; before = $Before; folder = $Folder }
    $refusal = Find-Refusal $SetFoldersConditions $case
    if ($null -ne $refusal) { return $refusal }
    $null = Set-VMHost -VirtualMachinePath $Folder -VirtualHardDiskPath $Folder
    return Get-Submitted
}
