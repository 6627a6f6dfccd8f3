# What one node knows: the operations ping and observe.

function Invoke-Ping {
    return [ordered]@{
        node       = [Environment]::GetEnvironmentVariable('COMPUTERNAME')
        powershell = $PSVersionTable.PSVersion.ToString()
    }
}

# Everything this node owns; with ClusterWide also the lists that any node can give. What changes
# seldom may be SlowSeconds old.
function Invoke-Observe {
    param([Parameter(Mandatory = $true)][bool]$ClusterWide, [int]$SlowSeconds = 0)
    # Jobs first: what a finished one made must be among the VMs and roles read after it.
    $jobs = @(Get-JobEntries)
    $nodes = @(Get-ClusterNode)
    $local = Find-LocalNode $nodes
    $system = Get-CimInstance -ClassName 'Win32_OperatingSystem'
    $now = Get-LocalTime $system
    $vms = @(Get-VmEntries $now $SlowSeconds)
    return [ordered]@{
        node    = [string]$local.Name
        cluster = Get-ClusterEntry
        nodes   = @(Get-Sorted @($nodes | ForEach-Object { ConvertTo-NodeEntry $_ }) 'name')
        self    = Get-SelfEntry $system $now $SlowSeconds
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
        balancerLevel         = [int]$cluster.AutoBalancerLevel
        antiAffinityEnforced  = [int]$cluster.ClusterEnforcedAntiAffinity
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

# What changes seldom and costs calls is kept with the time of its reading: by VM id, and '' for the
# node itself. An agent that starts, after its node came back for instance, has kept nothing.
$Kept = @{}
$EquipmentReadsMax = 32  # VMs read in one call: the reply must not be late

# The node's clock in UTC; the memory is read with it.
function Get-LocalTime($System) {
    return ([datetime]$System.LocalDateTime).ToUniversalTime()
}

# Whether something kept must be read anew: never read, changed to all appearance, or too old.
function Test-Due($Entry, [string]$Token, [datetime]$Now, [int]$Seconds) {
    if ($null -eq $Entry -or $Entry['token'] -cne $Token) { return $true }
    $age = ($Now - $Entry['at']).TotalSeconds
    return $age -lt 0 -or $age -ge $Seconds
}

# What was kept, with its age; null where nothing could be read yet.
function Get-KeptEntry([string]$Key, [datetime]$Now) {
    $entry = $Kept[$Key]
    if ($null -eq $entry -or $null -eq $entry['data']) { return $null }
    $shown = [ordered]@{ ageSeconds = [long][Math]::Floor(($Now - $entry['at']).TotalSeconds) }
    foreach ($name in $entry['data'].Keys) { $shown[$name] = $entry['data'][$name] }
    return $shown
}

function Get-SelfEntry($System, [datetime]$Now, [int]$Seconds) {
    if (Test-Due $Kept[''] '' $Now $Seconds) {
        $Kept[''] = @{ token = ''; at = $Now; data = Get-HardwareEntry $System }
    }
    $culture = [Globalization.CultureInfo]::InvariantCulture
    return [ordered]@{
        memoryTotalBytes     = [long]$System.TotalVisibleMemorySize * 1024
        memoryAvailableBytes = [long]$System.FreePhysicalMemory * 1024
        time                 = $Now.ToString('yyyy-MM-ddTHH:mm:ss.fffZ', $culture)
        hardware             = Get-KeptEntry '' $Now
    }
}

function Get-HardwareEntry($System) {
    $computer = Get-CimInstance -ClassName 'Win32_ComputerSystem'
    $processor = @(Get-CimInstance -ClassName 'Win32_Processor')[0]
    $hypervisor = Get-VMHost
    $switches = @(Get-VMSwitch | ForEach-Object {
        [ordered]@{ name = [string]$_.Name; type = [int]$_.SwitchType }
    })
    return [ordered]@{
        model             = ConvertTo-Text $computer.Model
        manufacturer      = ConvertTo-Text $computer.Manufacturer
        domainJoined      = [bool]$computer.PartOfDomain
        build             = [long]$System.BuildNumber
        processorVendor   = ConvertTo-Text $processor.Manufacturer
        processorFamily   = ConvertTo-Text $processor.Caption
        processorsLogical = [int]$hypervisor.LogicalProcessorCount
        migrationsMax     = [long]$hypervisor.MaximumVirtualMachineMigrations
        vmPath            = ConvertTo-Text $hypervisor.VirtualMachinePath
        vhdPath           = ConvertTo-Text $hypervisor.VirtualHardDiskPath
        vmVersions        = @(foreach ($version in $hypervisor.SupportedVmVersions) {
            [string]$version
        })
        switches          = @(Get-Sorted $switches 'name', 'type')
        scvmmAgent        = [bool](Test-Path -LiteralPath $ScvmmAgentKey)
        moveTypeThreshold = Get-MoveTypeThreshold
    }
}

# The service of System Center Virtual Machine Manager, running or not. Its key, because not every
# account may list services, and any may read this.
$ScvmmAgentKey = 'HKLM:\SYSTEM\CurrentControlSet\Services\SCVMMAgent'

# Of a role with a lower priority the cluster saves the VM where it would move others live. Only a
# warning rests on it, so nothing else is lost where it can't be read.
function Get-MoveTypeThreshold {
    try {
        foreach ($type in @(Get-ClusterResourceType)) {
            if (-not (Test-SameName $type.Name 'Virtual Machine')) { continue }
            return Get-PrivateNumber (Get-PrivateProperties $type) 'MoveTypeThreshold'
        }
    } catch { return $null }
    return $null
}

# Every VM of this node. What changes seldom is read anew of those that are due, the longest unread
# first.
function Get-VmEntries([datetime]$Now, [int]$Seconds) {
    $vms = @(Get-VM)
    $due = @(foreach ($vm in $vms) {
        $id = ConvertTo-GuidText $vm.Id
        $token = Get-VmToken $vm
        $entry = $Kept[$id]
        # One that is being made has another disk a moment later.
        if ((Test-Due $entry $token $Now $Seconds) -or $token.EndsWith(':creating')) {
            $since = $(if ($null -eq $entry) { 0 } else { $entry['at'].Ticks })
            @{ order = ([long]$since).ToString('D20'); id = $id; token = $token; vm = $vm }
        }
    })
    # Not by Select-Object, which a JEA session replaces by a poorer one.
    $turn = @(Get-Sorted $due 'order', 'id')
    for ($at = 0; $at -lt $turn.Count -and $at -lt $EquipmentReadsMax; $at++) {
        $item = $turn[$at]
        $data = $null
        # A VM on its way in or out may not let itself be read: then nothing is known of it.
        try { $data = Get-EquipmentEntry $item['vm'] } catch { $data = $null }
        $Kept[$item['id']] = @{ token = $item['token']; at = $Now; data = $data }
    }
    foreach ($vm in $vms) { ConvertTo-VmEntry $vm $Now }
    $there = @(foreach ($vm in $vms) { ConvertTo-GuidText $vm.Id })
    foreach ($id in @($Kept.Keys)) { if ($id -and $id -notin $there) { $Kept.Remove($id) } }
}

# What shows without a further call that a VM's equipment may have been changed.
function Get-VmToken($Vm) {
    $parts = @(
        $Vm.Name, [int]$Vm.State, [long]$Vm.MemoryStartup, [int]$Vm.ProcessorCount, $Vm.Version,
        $Vm.ConfigurationLocation, $Vm.SnapshotFileLocation, $Vm.SmartPagingFilePath,
        [bool]$Vm.IsClustered, (Get-CreationMark $Vm.Notes)
    )
    return $parts -join '|'
}

function ConvertTo-VmEntry($Vm, [datetime]$Now) {
    $id = ConvertTo-GuidText $Vm.Id
    return [ordered]@{
        id                  = $id
        name                = [string]$Vm.Name
        state               = [int]$Vm.State
        status              = @(foreach ($status in $Vm.OperationalStatus) { [int]$status })
        memoryAssignedBytes = [long]$Vm.MemoryAssigned
        memoryStartupBytes  = [long]$Vm.MemoryStartup
        clustered           = [bool]$Vm.IsClustered
        mark                = Get-CreationMark $Vm.Notes
        uptimeSeconds       = [long][Math]::Floor(([timespan]$Vm.Uptime).TotalSeconds)
        equipment           = Get-KeptEntry $id $Now
    }
}

function Get-EquipmentEntry($Vm) {
    $disks = @(foreach ($drive in $Vm.HardDrives) {
        [ordered]@{
            path       = ConvertTo-Text $drive.Path
            diskNumber = ConvertTo-Number $drive.DiskNumber
            shared     = [bool]$drive.SupportPersistentReservations
        }
    })
    $media = @(foreach ($drive in $Vm.DVDDrives) {
        $type = [int]$drive.DvdMediaType
        if ($type -ne 0) { [ordered]@{ path = ConvertTo-Text $drive.Path; type = $type } }
    })
    $adapters = @(foreach ($adapter in $Vm.NetworkAdapters) {
        [ordered]@{ switch = ConvertTo-Text $adapter.SwitchName }
    })
    $processor = @(Get-VMProcessor -VM $Vm)[0]
    $security = @(Get-VMSecurity -VM $Vm)[0]
    return [ordered]@{
        processors             = [int]$Vm.ProcessorCount
        generation             = [int]$Vm.Generation
        version                = ConvertTo-Text $Vm.Version
        configurationPath      = ConvertTo-Text $Vm.ConfigurationLocation
        checkpointPath         = ConvertTo-Text $Vm.SnapshotFileLocation
        pagingPath             = ConvertTo-Text $Vm.SmartPagingFilePath
        replication            = [int]$Vm.ReplicationMode
        disks                  = @(Get-Sorted $disks 'path', 'diskNumber')
        media                  = @(Get-Sorted $media 'path', 'type')
        adapters               = @(Get-Sorted $adapters 'switch')
        processorCompatibility = [bool]$processor.CompatibilityForMigrationEnabled
        tpm                    = [bool]$security.TpmEnabled
        shielded               = [bool]$security.Shielded
        fibreChannel           = @($Vm.FibreChannelHostBusAdapters).Count
        assignedDevices        = @(Get-VMAssignableDevice -VM $Vm).Count
        gpuPartitions          = Get-GpuPartitions $Vm
    }
}

# GPU partitions exist from Windows Server 2022 on; before, no VM has one.
function Get-GpuPartitions($Vm) {
    try { return @(Get-VMGpuPartitionAdapter -VM $Vm).Count } catch {
        if ([string]$_.FullyQualifiedErrorId -cne 'CommandNotFoundException') { throw }
        return 0
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
        antiAffinity    = @(Get-SortedText @(foreach ($class in $Group.AntiAffinityClassNames) {
            [string]$class
        }))
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
    $states = @(Get-ClusterSharedVolumeState | ForEach-Object {
        [ordered]@{
            node  = [string]$_.Node
            path  = ConvertTo-Text $_.VolumeFriendlyName
            state = [int]$_.StateInfo
            cause = ConvertTo-Flags $_.FileSystemRedirectedIOReason
        }
    })
    return [ordered]@{
        roles        = @(Get-Sorted $roles 'name')
        volumes      = @(Get-Sorted @(Get-VolumeEntries) 'path')
        volumeStates = @(Get-Sorted $states 'node', 'path')
        affinity     = @(Get-Sorted @(Get-AffinityEntries) 'name')
    }
}

# Affinity rules exist from Windows Server 2022 on; before, a cluster has none. The type is an
# enumeration's number or its name, as the module's type file has it.
function Get-AffinityEntries {
    try { $rules = @(Get-ClusterAffinityRule) } catch {
        if ([string]$_.FullyQualifiedErrorId -cne 'CommandNotFoundException') { throw }
        return
    }
    foreach ($rule in $rules) {
        [ordered]@{
            name    = [string]$rule.Name
            type    = [string]$rule.RuleType
            enabled = [bool]$rule.Enabled
            roles   = @(Get-SortedText @(foreach ($group in $rule.Groups) { [string]$group }))
        }
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
