# What one node knows: the operations ping and observe.

function Invoke-Ping {
    return [ordered]@{
        node       = [Environment]::GetEnvironmentVariable('COMPUTERNAME')
        powershell = $PSVersionTable.PSVersion.ToString()
    }
}

# Everything this node owns; with ClusterWide also the lists that any node can give.
function Invoke-Observe {
    param([Parameter(Mandatory = $true)][bool]$ClusterWide)
    # Jobs first: what a finished one made must be among the VMs and roles read after it.
    $jobs = @(Get-JobEntries)
    $nodes = @(Get-ClusterNode)
    $local = Find-LocalNode $nodes
    $vms = @(Get-VM | ForEach-Object { ConvertTo-VmEntry $_ })
    return [ordered]@{
        node    = [string]$local.Name
        cluster = Get-ClusterEntry
        nodes   = @(Get-Sorted @($nodes | ForEach-Object { ConvertTo-NodeEntry $_ }) 'name')
        self    = Get-SelfEntry
        vms     = @(Get-Sorted $vms 'id')
        roles   = @(Get-Sorted @(Get-RoleEntries $local $vms) 'name')
        jobs    = @(Get-Sorted $jobs 'intent')
        lists   = $(if ($ClusterWide) { Get-ClusterLists } else { $null })
    }
}

# The cluster's node that this computer is.
function Find-LocalNode($Nodes) {
    $here = [Environment]::GetEnvironmentVariable('COMPUTERNAME')
    foreach ($node in $Nodes) {
        if (Test-SameName $node.Name $here) { return $node }
    }
    throw 'This computer is not among the nodes of its cluster.'
}

function Get-ClusterEntry {
    $cluster = Get-Cluster
    $fence = Get-FenceEntry $cluster
    return [ordered]@{
        name                  = [string]$cluster.Name
        id                    = ConvertTo-GuidText $cluster.Id
        functionalLevel       = [int]$cluster.ClusterFunctionalLevel
        migrationsParallelMax = Get-OptionalNumber $cluster 'MaximumParallelMigrations'
        balancerMode          = [int]$cluster.AutoBalancerMode
        epoch                 = $fence['epoch']
        holder                = $fence['holder']
        stop                  = $fence['stop']
    }
}

# Who may act on this cluster, and whether somebody forbade it: private properties of the cluster,
# which its database holds once for all nodes. One call, because a name that is absent is an error.
function Get-FenceEntry($Cluster) {
    $private = Get-PrivateProperties $Cluster
    $holder = $null
    if ($private.ContainsKey('OwnernodeHolder')) {
        $holder = ConvertTo-Text $private['OwnernodeHolder']
    }
    $stop = $null
    if ($private.ContainsKey('OwnernodeStop')) { $stop = ConvertTo-Text $private['OwnernodeStop'] }
    return @{
        epoch  = Get-PrivateNumber $private 'OwnernodeEpoch'
        holder = $holder
        stop   = $stop
    }
}

function ConvertTo-NodeEntry($Node) {
    return [ordered]@{
        name     = [string]$Node.Name
        state    = [int]$Node.State
        drain    = [int]$Node.DrainStatus
        failback = Get-OptionalNumber $Node 'FailbackStatus'
        status   = ConvertTo-Flags $Node.StatusInformation
    }
}

function Get-SelfEntry {
    $computer = Get-CimInstance -ClassName 'Win32_ComputerSystem'
    $system = Get-CimInstance -ClassName 'Win32_OperatingSystem'
    $hypervisor = Get-VMHost
    $switches = @(Get-VMSwitch | ForEach-Object {
        [ordered]@{ name = [string]$_.Name; type = [int]$_.SwitchType }
    })
    $now = ([datetime]$system.LocalDateTime).ToUniversalTime()
    $culture = [Globalization.CultureInfo]::InvariantCulture
    return [ordered]@{
        model                = ConvertTo-Text $computer.Model
        manufacturer         = ConvertTo-Text $computer.Manufacturer
        memoryTotalBytes     = [long]$system.TotalVisibleMemorySize * 1024
        memoryAvailableBytes = [long]$system.FreePhysicalMemory * 1024
        processorsLogical    = [int]$hypervisor.LogicalProcessorCount
        migrationsMax        = [long]$hypervisor.MaximumVirtualMachineMigrations
        vmPath               = ConvertTo-Text $hypervisor.VirtualMachinePath
        vhdPath              = ConvertTo-Text $hypervisor.VirtualHardDiskPath
        switches             = @(Get-Sorted $switches 'name', 'type')
        time                 = $now.ToString('yyyy-MM-ddTHH:mm:ss.fffZ', $culture)
    }
}

function ConvertTo-VmEntry($Vm) {
    $disks = @(foreach ($drive in $Vm.HardDrives) {
        $number = ConvertTo-Number $drive.DiskNumber
        [ordered]@{ path = ConvertTo-Text $drive.Path; diskNumber = $number }
    })
    $media = @(foreach ($drive in $Vm.DVDDrives) {
        $type = [int]$drive.DvdMediaType
        if ($type -ne 0) { [ordered]@{ path = ConvertTo-Text $drive.Path; type = $type } }
    })
    $adapters = @(foreach ($adapter in $Vm.NetworkAdapters) {
        [ordered]@{ switch = ConvertTo-Text $adapter.SwitchName }
    })
    return [ordered]@{
        id                  = ConvertTo-GuidText $Vm.Id
        name                = [string]$Vm.Name
        state               = [int]$Vm.State
        status              = @(foreach ($status in $Vm.OperationalStatus) { [int]$status })
        memoryAssignedBytes = [long]$Vm.MemoryAssigned
        memoryStartupBytes  = [long]$Vm.MemoryStartup
        processors          = [int]$Vm.ProcessorCount
        generation          = [int]$Vm.Generation
        clustered           = [bool]$Vm.IsClustered
        configurationPath   = ConvertTo-Text $Vm.ConfigurationLocation
        checkpointPath      = ConvertTo-Text $Vm.SnapshotFileLocation
        pagingPath          = ConvertTo-Text $Vm.SmartPagingFilePath
        disks               = @(Get-Sorted $disks 'path', 'diskNumber')
        media               = @(Get-Sorted $media 'path', 'type')
        adapters            = @(Get-Sorted $adapters 'switch')
        mark                = Get-CreationMark $Vm.Notes
        uptimeSeconds       = [long][Math]::Floor(([timespan]$Vm.Uptime).TotalSeconds)
    }
}

# The mark of our own creation, wherever it stands among what people wrote into the notes.
function Get-CreationMark([string]$Notes) {
    $guid = '[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}'
    $match = [regex]::Match($Notes, 'ownernode:(' + $guid + ':(?:creating|created))')
    if (-not $match.Success) { return $null }
    return $match.Groups[1].Value.ToLowerInvariant()
}

# VM id by role id: it never changes, and reading it costs a call.
$VmIdsMax = 8000  # VMs of a cluster (Microsoft docs, Hyper-V scale limits)
$VmIds = @{}

# The roles that the local node owns. A node as input lists its own groups only.
function Get-RoleEntries($Local, $Vms) {
    foreach ($group in @(Get-ClusterGroup -InputObject $Local)) {
        if ([int]$group.GroupType -ne 111) { continue }
        $owner = Get-NameOf $group.OwnerNode
        if (-not (Test-SameName $owner $Local.Name)) { continue }
        ConvertTo-RoleEntry $group $owner @(Get-ClusterResource -InputObject $group) $Vms
    }
}

# Private properties are read for the VM's id, once, and while the role is in flight.
function ConvertTo-RoleEntry($Group, $Owner, $Resources, $Vms) {
    $id = ConvertTo-GuidText $Group.Id
    $machine = Find-Resource $Resources 'Virtual Machine'
    $configuration = Find-Resource $Resources 'Virtual Machine Configuration'
    $private = $(if ($VmIds.ContainsKey($id)) { @{} } else { Get-PrivateProperties $machine })
    if ($private.ContainsKey('VmId')) {
        if ($VmIds.Count -ge $VmIdsMax) { $VmIds.Clear() }
        $VmIds[$id] = ConvertTo-GuidText $private['VmId']
    }
    $vmId = $VmIds[$id]
    $entry = [ordered]@{
        id              = $id
        name            = [string]$Group.Name
        vmId            = $vmId
        state           = [int]$Group.State
        status          = ConvertTo-Flags $Group.StatusInformation
        owner           = $Owner
        priority        = [long]$Group.Priority
        persistentState = [long]$Group.PersistentState
        failback        = [long]$Group.AutoFailbackType
        locked          = [long]$Group.LockedFromMoving
        preferredOwners = @(Get-OwnerNames $Group)
        possibleOwners  = [ordered]@{
            machine       = @(Get-SortedText @(Get-OwnerNames $machine))
            configuration = @(Get-SortedText @(Get-OwnerNames $configuration))
        }
        migration       = $null
    }
    $vm = $Vms | Where-Object { $_['id'] -ceq $vmId }
    $migrating = $null -ne $vm -and @($vm)[0]['status'] -contains 32774
    if ($entry['state'] -eq 4 -or ($entry['status'] -band 4) -or $migrating) {
        if (-not $private.Count) { $private = Get-PrivateProperties $machine }
        $entry['migration'] = [ordered]@{
            state         = Get-PrivateNumber $private 'MigrationState'
            progress      = Get-PrivateNumber $private 'MigrationProgress'
            failureReason = Get-PrivateNumber $private 'MigrationFailureReason'
        }
    }
    return $entry
}

function Find-Resource($Resources, [string]$Type) {
    foreach ($resource in $Resources) {
        if (Test-SameName (Get-NameOf $resource.ResourceType) $Type) { return $resource }
    }
    return $null
}

# The private properties of a resource or of the cluster by name; none without one.
function Get-PrivateProperties($Object) {
    $properties = @{}
    if ($null -ne $Object) {
        foreach ($parameter in @(Get-ClusterParameter -InputObject $Object)) {
            $properties[[string]$parameter.Name] = $parameter.Value
        }
    }
    return $properties
}

function Get-PrivateNumber($Properties, [string]$Name) {
    if (-not $Properties.ContainsKey($Name)) { return $null }
    return ConvertTo-Number $Properties[$Name]
}

# Preferred owners of a group or possible owners of a resource, in the cluster's order.
function Get-OwnerNames($Object) {
    if ($null -eq $Object) { return }
    foreach ($list in @(Get-ClusterOwnerNode -InputObject $Object)) {
        foreach ($node in $list.OwnerNodes) { Get-NameOf $node }
    }
}

function Get-ClusterLists {
    $roles = @(foreach ($group in @(Get-ClusterGroup)) {
        if ([int]$group.GroupType -ne 111) { continue }
        [ordered]@{
            id     = ConvertTo-GuidText $group.Id
            name   = [string]$group.Name
            state  = [int]$group.State
            status = ConvertTo-Flags $group.StatusInformation
            owner  = Get-NameOf $group.OwnerNode
        }
    })
    return [ordered]@{
        roles   = @(Get-Sorted $roles 'name')
        volumes = @(Get-Sorted @(Get-VolumeEntries) 'path')
    }
}

# One entry a mount. A volume that is offline or changes hands has no partition.
function Get-VolumeEntries {
    foreach ($volume in @(Get-ClusterSharedVolume)) {
        foreach ($mount in $volume.SharedVolumeInfo) {
            $partition = $mount.Partition
            $entry = [ordered]@{
                path      = [string]$mount.FriendlyVolumeName
                sizeBytes = $null
                freeBytes = $null
            }
            if ($null -ne $partition) {
                $entry['sizeBytes'] = [long]$partition.Size
                $entry['freeBytes'] = [long]$partition.FreeSpace
            }
            $entry
        }
    }
}
