# The conditions of docs/protocol.md: what must still be true on the node right before it acts.
#
# A condition gets the case (the call's arguments, and what earlier conditions read) and gives
# nothing when it holds, else a finding. They run in the order that the operation lists them; the
# first untrue one ends it.

# What a condition found instead.
function New-Finding($Text) {
    return @{ found = ConvertTo-Text $Text }
}

function Find-Vm([guid]$VmId) {
    try { Get-VM -Id $VmId } catch { if (-not (Test-VmNotFound $_)) { throw } }
}

# The virtual-machine groups of a VM id; more than one would be a broken cluster.
function Find-RoleGroup([guid]$VmId) {
    try {
        Get-ClusterGroup -VMId $VmId | Where-Object { [int]$_.GroupType -eq 111 }
    } catch { if (-not (Test-ClusterNotFound $_)) { throw } }
}

# The state of a move as the VM's resource holds it, or null.
function Get-MigrationState($Case) {
    if (-not $Case.Contains('role')) { return $null }
    $machine = Find-Resource (Get-CaseResources $Case) 'Virtual Machine'
    return Get-PrivateNumber (Get-PrivateProperties $machine) 'MigrationState'
}

function Get-CaseResources($Case) {
    if (-not $Case.Contains('resources')) {
        $Case['resources'] = @(Get-ClusterResource -InputObject $Case['group'])
    }
    return $Case['resources']
}

function Get-DisksToCreate($Case) {
    foreach ($disk in $Case['template'].disks) { if ($null -ne $disk.createBytes) { $disk } }
}

# The first path that is there when it should not be, or the other way round.
function Find-Path([string[]]$Paths, [bool]$There) {
    foreach ($path in $Paths) {
        if ([bool](Test-Path -LiteralPath $path) -eq $There) { return $path }
    }
    return $null
}

# The cluster shared volume that holds a path, or null; Volume1 does not hold what is on Volume10.
function Find-Volume($Volumes, [string]$Path) {
    foreach ($volume in $Volumes) {
        $mount = $volume['path'] + '\'
        $folder = $Path + '\'
        if ($folder.StartsWith($mount, [StringComparison]::OrdinalIgnoreCase)) { return $volume }
    }
    return $null
}

# The first of some paths that other nodes don't reach: neither on a cluster shared volume nor on an
# SMB share. \\?\ and \\.\ are devices of this node.
function Find-LocalPath([string[]]$Paths) {
    $volumes = @(Get-VolumeEntries)
    foreach ($path in $Paths) {
        if ($path.StartsWith('\\?\') -or $path.StartsWith('\\.\')) { return $path }
        if ($path.StartsWith('\\')) { continue }
        if ($null -eq (Find-Volume $volumes $path)) { return $path }
    }
    return $null
}

# The fence as it stands; the cluster object is kept for whoever writes to it.
function Get-CaseFence($Case) {
    if (-not $Case.Contains('fence')) {
        $Case['cluster'] = Get-Cluster
        $Case['fence'] = Get-FenceEntry $Case['cluster']
    }
    return $Case['fence']
}

# A setting of the role as it is now, in the words of the observation.
function Get-CaseSetting($Case) {
    $group = $Case['group']
    switch -CaseSensitive ($Case['setting']) {
        'Failback' { return $(if ([long]$group.AutoFailbackType -ne 0) { 'on' } else { 'off' }) }
        'Priority' { return ([long]$group.Priority).ToString() }
        'PreferredOwners' { return @(Get-OwnerNames $group) }
        'PossibleOwners' {
            $resources = Get-CaseResources $Case
            $machine = @(Get-OwnerNames (Find-Resource $resources 'Virtual Machine'))
            $other = @(Get-OwnerNames (Find-Resource $resources 'Virtual Machine Configuration'))
            return @(Get-SortedText @(foreach ($name in $machine) {
                if (@($other | Where-Object { Test-SameName $_ $name }).Count) { $name }
            }))
        }
    }
    throw 'There is no such setting.'
}

$Conditions = @{
    notStopped = {
        param($Case)
        $stop = (Get-CaseFence $Case)['stop']
        if ($null -ne $stop) { New-Finding $stop }
    }
    epochCurrent = {
        param($Case)
        $fence = Get-CaseFence $Case
        if ($null -eq $fence['epoch']) { return New-Finding 'none' }
        $isHolder = Test-SameName $fence['holder'] $Case['holder']
        if ($fence['epoch'] -ne $Case['epoch'] -or -not $isHolder) {
            New-Finding ('epoch {0}' -f $fence['epoch'])
        }
    }
    epochOlder = {
        param($Case)
        $known = (Get-CaseFence $Case)['epoch']
        if ($null -ne $known -and $known -ge $Case['epoch']) {
            New-Finding ('epoch {0}' -f $known)
        }
    }
    vmHere = {
        param($Case)
        $found = @(Find-Vm $Case['vmId'])
        if ($found.Count -ne 1) { return New-Finding 'absent' }
        $Case['vm'] = @{
            name      = [string]$found[0].Name
            state     = [int]$found[0].State
            status    = @(foreach ($status in $found[0].OperationalStatus) { [int]$status })
            clustered = [bool]$found[0].IsClustered
        }
        $Case['machine'] = $found[0]
    }
    roleExists = {
        param($Case)
        $found = @(Find-RoleGroup $Case['vmId'])
        if ($found.Count -ne 1) { return New-Finding 'absent' }
        $Case['group'] = $found[0]
        $Case['role'] = @{
            state  = [int]$found[0].State
            status = ConvertTo-Flags $found[0].StatusInformation
            locked = [long]$found[0].LockedFromMoving
            owner  = Get-NameOf $found[0].OwnerNode
        }
    }
    owner = {
        param($Case)
        $owner = $Case['role'].owner
        $here = [Environment]::GetEnvironmentVariable('COMPUTERNAME')
        if ($null -eq $owner) { return New-Finding 'none' }
        if (-not (Test-SameName $owner $Case['owner'])) { return New-Finding $owner }
        if (-not (Test-SameName $owner $here)) { return New-Finding $owner }
    }
    vmRunning = {
        param($Case)
        if ($Case['vm'].state -ne 2) { New-Finding $Case['vm'].state }
    }
    vmOff = {
        param($Case)
        if ($Case['vm'].state -ne 3) { New-Finding $Case['vm'].state }
    }
    vmAtRest = {
        param($Case)
        if ($Case['vm'].state -notin 2, 3) { New-Finding $Case['vm'].state }
    }
    roleOnline = {
        param($Case)
        if ($Case['role'].state -ne 0) { New-Finding $Case['role'].state }
    }
    roleOffline = {
        param($Case)
        if ($Case['role'].state -ne 1) { New-Finding $Case['role'].state }
    }
    notQueued = {
        param($Case)
        if ($Case['role'].status -band 4) { New-Finding $Case['role'].status }
    }
    notLocked = {
        param($Case)
        if (($Case['role'].status -band 1) -or $Case['role'].locked -ne 0) { New-Finding 'locked' }
    }
    noMigration = {
        param($Case)
        foreach ($status in $Case['vm'].status) {
            if ($status -in 32774, 32780) { return New-Finding $status }
        }
        $state = Get-MigrationState $Case
        if ($state -in 1, 2, 3) { New-Finding ('MigrationState {0}' -f $state) }
    }
    notBusy = {
        param($Case)
        foreach ($status in $Case['vm'].status) {
            if ($status -notin 2, 11) { return New-Finding $status }
        }
    }
    targetExists = {
        param($Case)
        $found = @(Get-ClusterNode | Where-Object { Test-SameName $_.Name $Case['target'] })
        if ($found.Count -ne 1) { return New-Finding 'absent' }
        $Case['targetNode'] = ConvertTo-NodeEntry $found[0]
    }
    targetUp = {
        param($Case)
        if ($Case['targetNode'].state -ne 0) { New-Finding $Case['targetNode'].state }
    }
    targetNotDraining = {
        param($Case)
        if ($Case['targetNode'].drain -ne 0) { New-Finding $Case['targetNode'].drain }
    }
    targetNotIsolated = {
        param($Case)
        if ($Case['targetNode'].status -band 1) { New-Finding 'isolated' }
    }
    targetNotQuarantined = {
        param($Case)
        if ($Case['targetNode'].status -band 2) { New-Finding 'quarantined' }
    }
    targetNotAvoided = {
        param($Case)
        if ($Case['targetNode'].status -band 32) { New-Finding 'avoided' }
    }
    targetPossible = {
        param($Case)
        $kinds = [ordered]@{
            machine       = 'Virtual Machine'
            configuration = 'Virtual Machine Configuration'
        }
        foreach ($kind in $kinds.Keys) {
            $resource = Find-Resource (Get-CaseResources $Case) $kinds[$kind]
            $owners = @(Get-OwnerNames $resource)
            if (-not @($owners | Where-Object { Test-SameName $_ $Case['target'] }).Count) {
                return New-Finding $kind
            }
        }
    }
    mediaShared = {
        param($Case)
        $vm = $Case['machine']
        $held = @(foreach ($dvd in $vm.DVDDrives) { if ([int]$dvd.DvdMediaType) { $dvd.Path } })
        if (-not $held.Count) { return }
        $local = Find-LocalPath $held
        if ($null -ne $local) { New-Finding $local }
    }
    storageShared = {
        param($Case)
        $vm = $Case['machine']
        $paths = [ordered]@{
            configuration = @($vm.ConfigurationLocation)
            disks         = @(foreach ($drive in $vm.HardDrives) { $drive.Path })
            checkpoints   = @($vm.SnapshotFileLocation)
            smartPaging   = @($vm.SmartPagingFilePath)
        }
        $asked = @(foreach ($check in $paths.Keys) {
            if ($check -notin $Case['accepts']) { $paths[$check] | Where-Object { $_ } }
        })
        $local = Find-LocalPath $asked
        if ($null -ne $local) { New-Finding $local }
    }
    settingUnchanged = {
        param($Case)
        $now = [string]::Join(', ', @(Get-CaseSetting $Case))
        if (-not (Test-SameName $now ([string]::Join(', ', $Case['before'])))) {
            New-Finding $(if ($now) { $now } else { 'none' })
        }
    }
    ownersExist = {
        param($Case)
        if ($Case['setting'] -cnotin 'PossibleOwners', 'PreferredOwners') { return }
        $nodes = @(Get-ClusterNode)
        foreach ($name in $Case['after']) {
            if (-not @($nodes | Where-Object { Test-SameName $_.Name $name }).Count) {
                return New-Finding $name
            }
        }
    }
    ownerKept = {
        param($Case)
        if ($Case['setting'] -cne 'PossibleOwners') { return }
        $owner = $Case['role'].owner
        if (-not @($Case['after'] | Where-Object { Test-SameName $_ $owner }).Count) {
            return New-Finding $owner
        }
        if (@($Case['after']).Count -lt 2) { New-Finding 'alone' }
    }
    notClustered = {
        param($Case)
        if ($Case['vm'].clustered -or @(Find-RoleGroup $Case['vmId']).Count) {
            New-Finding 'clustered'
        }
    }
    roleNameFree = {
        param($Case)
        $name = $(if ($Case.Contains('name')) { $Case['name'] } else { $Case['vm'].name })
        foreach ($group in @(Get-ClusterGroup)) {
            if (Test-SameName $group.Name $name) { return New-Finding $group.Name }
        }
    }
    nodeUp = {
        param($Case)
        $node = ConvertTo-NodeEntry (Find-LocalNode @(Get-ClusterNode))
        if ($node.state -ne 0) { return New-Finding $node.state }
        if ($node.drain -ne 0) { return New-Finding $node.drain }
        if ($node.status -band 1) { return New-Finding 'isolated' }
        if ($node.status -band 2) { return New-Finding 'quarantined' }
        if ($node.status -band 32) { New-Finding 'avoided' }
    }
    nodeHere = {
        param($Case)
        $Case['nodes'] = @(Get-ClusterNode)
        $Case['local'] = Find-LocalNode $Case['nodes']
        $name = [string](ConvertTo-NodeEntry $Case['local']).name
        if (-not (Test-SameName $name $Case['node'])) { New-Finding $name }
    }
    othersUp = {
        param($Case)
        foreach ($entry in @($Case['nodes'] | ForEach-Object { ConvertTo-NodeEntry $_ })) {
            if (Test-SameName $entry.name $Case['node']) { continue }
            $isUp = $entry.state -eq 0 -and $entry.drain -eq 0 -and -not ($entry.status -band 35)
            if (-not $isUp) { return New-Finding $entry.name }
        }
    }
    nodeOnlyPaused = {
        param($Case)
        $node = ConvertTo-NodeEntry $Case['local']
        if ($node.state -ne 2) { return New-Finding $node.state }
        if ($node.drain -ne 0) { New-Finding ('drain {0}' -f $node.drain) }
    }
    foldersUnchanged = {
        param($Case)
        $hypervisor = @(Get-VMHost)[0]
        $folders = @($hypervisor.VirtualMachinePath, $hypervisor.VirtualHardDiskPath)
        $now = [string]::Join(', ', [string[]]$folders)
        if (-not (Test-SameName $now ([string]::Join(', ', $Case['before'])))) { New-Finding $now }
    }
    folderShared = {
        param($Case)
        $folder = $Case['folder']
        $volume = Find-Volume @(Get-VolumeEntries) $folder
        if ($null -eq $volume -or (Test-SameName $volume['path'] $folder)) {
            return New-Finding $folder
        }
        foreach ($part in $folder.Split('\')) {
            if ($part -in '', '.', '..') { return New-Finding $folder }
        }
    }
    folderExists = {
        param($Case)
        $missing = Find-Path $Case['folder'] $false
        if ($null -ne $missing) { New-Finding $missing }
    }
    nameFree = {
        param($Case)
        foreach ($vm in @(Get-VM)) {
            if (Test-SameName $vm.Name $Case['name']) { return New-Finding $vm.Id }
        }
    }
    intentNew = {
        param($Case)
        $known = Get-JobState $Case['intent']
        if ($null -ne $known) { New-Finding $known }
    }
    folderFree = {
        param($Case)
        $folder = $Case['template'].location.TrimEnd('\') + '\' + $Case['name']
        $taken = Find-Path $folder $true
        if ($null -ne $taken) { New-Finding $taken }
    }
    disksFree = {
        param($Case)
        $taken = Find-Path @(Get-DisksToCreate $Case | ForEach-Object { $_.path }) $true
        if ($null -ne $taken) { New-Finding $taken }
    }
    disksExist = {
        param($Case)
        $disks = @($Case['template'].disks | Where-Object { $null -eq $_.createBytes })
        $missing = Find-Path @($disks | ForEach-Object { $_.path }) $false
        if ($null -ne $missing) { New-Finding $missing }
    }
    disksUnattached = {
        param($Case)
        foreach ($vm in @(Get-VM)) {
            foreach ($drive in $vm.HardDrives) {
                foreach ($disk in $Case['template'].disks) {
                    if (Test-SameName $drive.Path $disk.path) { return New-Finding $vm.Id }
                }
            }
        }
    }
    mediaExists = {
        param($Case)
        if ($null -eq $Case['template'].iso) { return }
        $missing = Find-Path $Case['template'].iso $false
        if ($null -ne $missing) { New-Finding $missing }
    }
    driveExists = {
        param($Case)
        $letter = $Case['template'].physicalDrive
        if ($null -eq $letter) { return }
        foreach ($reader in @(Get-CimInstance -ClassName 'Win32_CDROMDrive')) {
            if (Test-SameName $reader.Drive $letter) { return }
        }
        New-Finding $letter
    }
    switchExists = {
        param($Case)
        $name = $Case['template'].switch
        if ($null -eq $name) { return }
        $found = @(Get-VMSwitch | Where-Object { Test-SameName $_.Name $name })
        if (-not $found.Count) { New-Finding $name }
    }
    volumeHasRoom = {
        param($Case)
        $volumes = @(Get-VolumeEntries)
        $wanted = @{}
        foreach ($disk in @(Get-DisksToCreate $Case)) {
            $volume = Find-Volume $volumes $disk.path
            if ($null -eq $volume -or $null -eq $volume['freeBytes']) { return New-Finding $null }
            $wanted[$volume['path']] = [long]$wanted[$volume['path']] + [long]$disk.createBytes
            if ($wanted[$volume['path']] -gt $volume['freeBytes']) {
                return New-Finding $volume['freeBytes']
            }
        }
    }
}

# The first condition that does not hold as a refusal, or nothing.
function Find-Refusal([string[]]$Names, $Case) {
    foreach ($name in $Names) {
        $finding = & $Conditions[$name] $Case
        if ($null -ne $finding) {
            return [ordered]@{
                outcome   = 'refused'
                condition = $name
                found     = $finding['found']
            }
        }
    }
}
