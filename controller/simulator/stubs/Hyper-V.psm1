# Written by tests/powershell/generate_stubs.py from signatures.json; not to be edited.

function Add-VMDvdDrive {
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [switch]$AllowUnverifiedPaths,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'VMName')]
        [string[]]$ComputerName,
        [int]$ControllerLocation,
        [Parameter(ParameterSetName = 'VMName')]
        [Parameter(ParameterSetName = 'VMObject')]
        [int]$ControllerNumber,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$Credential,
        [switch]$Passthru,
        [string]$Path,
        [string]$ResourcePoolName,
        [Parameter(ParameterSetName = 'VMObject', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.VirtualMachine')][psobject[]]$VM,
        [Parameter(ParameterSetName = 'VMDriveController', Mandatory)]
        [object[]]$VMDriveController,
        [Parameter(ParameterSetName = 'VMName', Mandatory)]
        [string[]]$VMName
    )
    Invoke-World 'Add-VMDvdDrive' $PSBoundParameters
}

function Add-VMHardDiskDrive {
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [switch]$AllowUnverifiedPaths,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'VMName')]
        [string[]]$ComputerName,
        [int]$ControllerLocation,
        [Parameter(ParameterSetName = 'VMName')]
        [Parameter(ParameterSetName = 'VMObject')]
        [int]$ControllerNumber,
        [Parameter(ParameterSetName = 'VMName')]
        [Parameter(ParameterSetName = 'VMObject')]
        [Microsoft.HyperV.PowerShell.ControllerType]$ControllerType,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$Credential,
        [uint32]$DiskNumber,
        [uint64]$MaximumIOPS,
        [uint64]$MinimumIOPS,
        [Microsoft.HyperV.PowerShell.CacheAttributes]$OverrideCacheAttributes,
        [switch]$Passthru,
        [string]$Path,
        [object]$QoSPolicy,
        [string]$QoSPolicyID,
        [string]$ResourcePoolName,
        [switch]$SupportPersistentReservations,
        [Parameter(ParameterSetName = 'VMObject', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.VirtualMachine')][psobject[]]$VM,
        [Parameter(ParameterSetName = 'VMDriveController', Mandatory)]
        [object]$VMDriveController,
        [Parameter(ParameterSetName = 'VMName', Mandatory)]
        [string[]]$VMName
    )
    Invoke-World 'Add-VMHardDiskDrive' $PSBoundParameters
}

function Get-VM {
    [CmdletBinding(DefaultParameterSetName = 'Name')]
    param(
        [Parameter(ParameterSetName = 'Id')]
        [Parameter(ParameterSetName = 'Name')]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'ClusterObject', Mandatory)]
        [psobject]$ClusterObject,
        [Parameter(ParameterSetName = 'Id')]
        [Parameter(ParameterSetName = 'Name')]
        [string[]]$ComputerName,
        [Parameter(ParameterSetName = 'Id')]
        [Parameter(ParameterSetName = 'Name')]
        [object[]]$Credential,
        [Parameter(ParameterSetName = 'Id')]
        [guid]$Id,
        [Parameter(ParameterSetName = 'Name')]
        [string[]]$Name
    )
    Invoke-World 'Get-VM' $PSBoundParameters
}

function Get-VMAssignableDevice {
    [CmdletBinding(DefaultParameterSetName = 'VMName')]
    param(
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'VMName')]
        [string[]]$ComputerName,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$Credential,
        [string]$InstancePath,
        [string]$LocationPath,
        [Parameter(ParameterSetName = 'VMObject', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.VirtualMachine')][psobject[]]$VM,
        [Parameter(ParameterSetName = 'VMName', Mandatory)]
        [string[]]$VMName
    )
    Invoke-World 'Get-VMAssignableDevice' $PSBoundParameters
}

function Get-VMDvdDrive {
    [CmdletBinding(DefaultParameterSetName = 'VMName')]
    param(
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'VMName')]
        [string[]]$ComputerName,
        [int]$ControllerLocation,
        [Parameter(ParameterSetName = 'VMName')]
        [Parameter(ParameterSetName = 'VMObject')]
        [Parameter(ParameterSetName = 'VMSnapshot')]
        [int]$ControllerNumber,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$Credential,
        [Parameter(ParameterSetName = 'VMObject', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.VirtualMachine')][psobject[]]$VM,
        [Parameter(ParameterSetName = 'VMDriveController', Mandatory)]
        [object[]]$VMDriveController,
        [Parameter(ParameterSetName = 'VMName', Mandatory)]
        [string[]]$VMName,
        [Parameter(ParameterSetName = 'VMSnapshot', Mandatory)]
        [object]$VMSnapshot
    )
    Invoke-World 'Get-VMDvdDrive' $PSBoundParameters
}

function Get-VMGpuPartitionAdapter {
    [CmdletBinding(DefaultParameterSetName = 'VMName')]
    param(
        [string]$AdapterId,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'VMName')]
        [string[]]$ComputerName,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$Credential,
        [Parameter(ParameterSetName = 'VMObject', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.VirtualMachine')][psobject[]]$VM,
        [Parameter(ParameterSetName = 'VMName', Mandatory)]
        [string[]]$VMName
    )
    Invoke-World 'Get-VMGpuPartitionAdapter' $PSBoundParameters
}

function Get-VMHost {
    [CmdletBinding(DefaultParameterSetName = 'ComputerName')]
    param(
        [Parameter(ParameterSetName = 'CimSession', Mandatory)]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'ComputerName')]
        [string[]]$ComputerName,
        [Parameter(ParameterSetName = 'ComputerName')]
        [object[]]$Credential
    )
    Invoke-World 'Get-VMHost' $PSBoundParameters
}

function Get-VMProcessor {
    [CmdletBinding(DefaultParameterSetName = 'VMName')]
    param(
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'VMName')]
        [string[]]$ComputerName,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$Credential,
        [Parameter(ParameterSetName = 'VMObject', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.VirtualMachine')][psobject[]]$VM,
        [Parameter(ParameterSetName = 'VMName', Mandatory)]
        [string[]]$VMName,
        [Parameter(ParameterSetName = 'VMSnapshot', Mandatory)]
        [object]$VMSnapshot
    )
    Invoke-World 'Get-VMProcessor' $PSBoundParameters
}

function Get-VMSecurity {
    [CmdletBinding(DefaultParameterSetName = 'VMName')]
    param(
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'VMName')]
        [string[]]$ComputerName,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$Credential,
        [Parameter(ParameterSetName = 'VMObject', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.VirtualMachine')][psobject[]]$VM,
        [Parameter(ParameterSetName = 'VMName', Mandatory)]
        [string[]]$VMName
    )
    Invoke-World 'Get-VMSecurity' $PSBoundParameters
}

function Get-VMSwitch {
    [CmdletBinding(DefaultParameterSetName = 'Name')]
    param(
        [object[]]$CimSession,
        [string[]]$ComputerName,
        [object[]]$Credential,
        [Parameter(ParameterSetName = 'Id')]
        [guid[]]$Id,
        [Parameter(ParameterSetName = 'Name')]
        [string]$Name,
        [string[]]$ResourcePoolName,
        [Microsoft.HyperV.PowerShell.VMSwitchType[]]$SwitchType
    )
    Invoke-World 'Get-VMSwitch' $PSBoundParameters
}

function New-VHD {
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [switch]$AsJob,
        [uint32]$BlockSizeBytes,
        [object[]]$CimSession,
        [string[]]$ComputerName,
        [object[]]$Credential,
        [Parameter(ParameterSetName = 'Differencing')]
        [switch]$Differencing,
        [Parameter(ParameterSetName = 'DynamicWithSource')]
        [Parameter(ParameterSetName = 'DynamicWithoutSource')]
        [switch]$Dynamic,
        [Parameter(ParameterSetName = 'FixedWithSource')]
        [Parameter(ParameterSetName = 'FixedWithoutSource')]
        [switch]$Fixed,
        [Parameter(ParameterSetName = 'DynamicWithoutSource')]
        [Parameter(ParameterSetName = 'FixedWithoutSource')]
        [uint32]$LogicalSectorSizeBytes,
        [Parameter(ParameterSetName = 'Differencing', Mandatory)]
        [string]$ParentPath,
        [Parameter(Mandatory)]
        [string[]]$Path,
        [Parameter(ParameterSetName = 'Differencing')]
        [Parameter(ParameterSetName = 'DynamicWithoutSource')]
        [Parameter(ParameterSetName = 'FixedWithoutSource')]
        [uint32]$PhysicalSectorSizeBytes,
        [Parameter(ParameterSetName = 'Differencing')]
        [Parameter(ParameterSetName = 'DynamicWithoutSource', Mandatory)]
        [Parameter(ParameterSetName = 'FixedWithoutSource', Mandatory)]
        [uint64]$SizeBytes,
        [Parameter(ParameterSetName = 'DynamicWithSource', Mandatory)]
        [Parameter(ParameterSetName = 'FixedWithSource', Mandatory)]
        [uint32]$SourceDisk
    )
    Invoke-World 'New-VHD' $PSBoundParameters
}

function New-VM {
    [CmdletBinding(DefaultParameterSetName = 'No VHD', SupportsShouldProcess)]
    param(
        [switch]$AsJob,
        [Microsoft.HyperV.PowerShell.BootDevice]$BootDevice,
        [object[]]$CimSession,
        [string[]]$ComputerName,
        [object[]]$Credential,
        [switch]$Experimental,
        [switch]$Force,
        [int16]$Generation,
        [object]$GuestStateIsolationType,
        [long]$MemoryStartupBytes,
        [string]$Name,
        [Parameter(ParameterSetName = 'New VHD', Mandatory)]
        [string]$NewVHDPath,
        [Parameter(ParameterSetName = 'New VHD', Mandatory)]
        [uint64]$NewVHDSizeBytes,
        [Parameter(ParameterSetName = 'No VHD')]
        [switch]$NoVHD,
        [string]$Path,
        [switch]$Prerelease,
        [string]$SourceGuestStatePath,
        [string]$SwitchName,
        [Parameter(ParameterSetName = 'Existing VHD', Mandatory)]
        [string]$VHDPath,
        [version]$Version
    )
    Invoke-World 'New-VM' $PSBoundParameters
}

function Set-VM {
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [switch]$AllowUnverifiedPaths,
        [bool]$AutomaticCheckpointsEnabled,
        [Microsoft.HyperV.PowerShell.CriticalErrorAction]$AutomaticCriticalErrorAction,
        [int]$AutomaticCriticalErrorActionTimeout,
        [Microsoft.HyperV.PowerShell.StartAction]$AutomaticStartAction,
        [int]$AutomaticStartDelay,
        [Microsoft.HyperV.PowerShell.StopAction]$AutomaticStopAction,
        [Microsoft.HyperV.PowerShell.CheckpointType]$CheckpointType,
        [Parameter(ParameterSetName = 'Name')]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'Name')]
        [string[]]$ComputerName,
        [Parameter(ParameterSetName = 'Name')]
        [object[]]$Credential,
        [switch]$DynamicMemory,
        [bool]$GuestControlledCacheTypes,
        [uint64]$HighMemoryMappedIoSpace,
        [Microsoft.HyperV.PowerShell.OnOffState]$LockOnDisconnect,
        [uint32]$LowMemoryMappedIoSpace,
        [long]$MemoryMaximumBytes,
        [long]$MemoryMinimumBytes,
        [long]$MemoryStartupBytes,
        [Parameter(ParameterSetName = 'Name', Mandatory)]
        [string[]]$Name,
        [string]$NewVMName,
        [string]$Notes,
        [switch]$Passthru,
        [long]$ProcessorCount,
        [string]$SmartPagingFilePath,
        [string]$SnapshotFileLocation,
        [switch]$StaticMemory,
        [Parameter(ParameterSetName = 'VMObject', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.VirtualMachine')][psobject[]]$VM
    )
    Invoke-World 'Set-VM' $PSBoundParameters
}

function Set-VMDvdDrive {
    [CmdletBinding(DefaultParameterSetName = 'VMName', SupportsShouldProcess)]
    param(
        [switch]$AllowUnverifiedPaths,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'VMName')]
        [string[]]$ComputerName,
        [Parameter(ParameterSetName = 'VMName')]
        [int]$ControllerLocation,
        [Parameter(ParameterSetName = 'VMName')]
        [int]$ControllerNumber,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$Credential,
        [switch]$Passthru,
        [string]$Path,
        [string]$ResourcePoolName,
        [int]$ToControllerLocation,
        [int]$ToControllerNumber,
        [Parameter(ParameterSetName = 'Object', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.DvdDrive')][psobject[]]$VMDvdDrive,
        [Parameter(ParameterSetName = 'VMName', Mandatory)]
        [string]$VMName
    )
    Invoke-World 'Set-VMDvdDrive' $PSBoundParameters
}

function Set-VMFirmware {
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [object[]]$BootOrder,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'VMName')]
        [string[]]$ComputerName,
        [Microsoft.HyperV.PowerShell.ConsoleModeType]$ConsoleMode,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$Credential,
        [Microsoft.HyperV.PowerShell.OnOffState]$EnableSecureBoot,
        [object]$FirstBootDevice,
        [switch]$Passthru,
        [Microsoft.HyperV.PowerShell.OnOffState]$PauseAfterBootFailure,
        [Microsoft.HyperV.PowerShell.IPProtocolPreference]$PreferredNetworkBootProtocol,
        [string]$SecureBootTemplate,
        [guid]$SecureBootTemplateId,
        [Parameter(ParameterSetName = 'VMObject', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.VirtualMachine')][psobject[]]$VM,
        [Parameter(ParameterSetName = 'VMFirmware', Mandatory)]
        [object[]]$VMFirmware,
        [Parameter(ParameterSetName = 'VMName', Mandatory)]
        [string[]]$VMName
    )
    Invoke-World 'Set-VMFirmware' $PSBoundParameters
}

function Set-VMHost {
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(ParameterSetName = 'CimSession', Mandatory)]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'ComputerName')]
        [string[]]$ComputerName,
        [Parameter(ParameterSetName = 'ComputerName')]
        [object[]]$Credential,
        [switch]$Passthru,
        [string]$VirtualHardDiskPath,
        [string]$VirtualMachinePath
    )
    Invoke-World 'Set-VMHost' $PSBoundParameters
}

function Set-VMMemory {
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [int]$Buffer,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$CimSession,
        [Parameter(ParameterSetName = 'VMName')]
        [string[]]$ComputerName,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$Credential,
        [bool]$DynamicMemoryEnabled,
        [long]$MaximumAmountPerNumaNodeBytes,
        [long]$MaximumBytes,
        [long]$MinimumBytes,
        [switch]$Passthru,
        [int]$Priority,
        [string]$ResourcePoolName,
        [long]$StartupBytes,
        [Parameter(ParameterSetName = 'VMObject', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.VirtualMachine')][psobject[]]$VM,
        [Parameter(ParameterSetName = 'ResourceObject', Mandatory)]
        [object[]]$VMMemory,
        [Parameter(ParameterSetName = 'VMName', Mandatory)]
        [string[]]$VMName
    )
    Invoke-World 'Set-VMMemory' $PSBoundParameters
}

function Set-VMNetworkAdapterVlan {
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [switch]$Access,
        [string]$AllowedVlanIdList,
        [Parameter(ParameterSetName = 'ManagementOS')]
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$CimSession,
        [switch]$Community,
        [Parameter(ParameterSetName = 'ManagementOS')]
        [Parameter(ParameterSetName = 'VMName')]
        [string[]]$ComputerName,
        [Parameter(ParameterSetName = 'ManagementOS')]
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$Credential,
        [switch]$Isolated,
        [Parameter(ParameterSetName = 'ManagementOS')]
        [switch]$ManagementOS,
        [int]$NativeVlanId,
        [switch]$Passthru,
        [int]$PrimaryVlanId,
        [switch]$Promiscuous,
        [int]$SecondaryVlanId,
        [string]$SecondaryVlanIdList,
        [switch]$Trunk,
        [switch]$Untagged,
        [Parameter(ParameterSetName = 'VMObject', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.VirtualMachine')][psobject[]]$VM,
        [Parameter(ParameterSetName = 'VMName', Mandatory)]
        [string[]]$VMName,
        [Parameter(ParameterSetName = 'ResourceObject', Mandatory)]
        [object[]]$VMNetworkAdapter,
        [Parameter(ParameterSetName = 'ManagementOS')]
        [Parameter(ParameterSetName = 'VMName')]
        [Parameter(ParameterSetName = 'VMObject')]
        [string]$VMNetworkAdapterName,
        [int]$VlanId
    )
    Invoke-World 'Set-VMNetworkAdapterVlan' $PSBoundParameters
}

function Set-VMProcessor {
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$CimSession,
        [bool]$CompatibilityForMigrationEnabled,
        [bool]$CompatibilityForOlderOperatingSystemsEnabled,
        [Parameter(ParameterSetName = 'VMName')]
        [string[]]$ComputerName,
        [long]$Count,
        [Parameter(ParameterSetName = 'VMName')]
        [object[]]$Credential,
        [bool]$EnableHostResourceProtection,
        [bool]$ExposeVirtualizationExtensions,
        [long]$HwThreadCountPerCore,
        [long]$Maximum,
        [int]$MaximumCountPerNumaNode,
        [int]$MaximumCountPerNumaSocket,
        [switch]$Passthru,
        [Parameter(ParameterSetName = 'VMName')]
        [string]$Perfmon,
        [int]$RelativeWeight,
        [long]$Reserve,
        [string]$ResourcePoolName,
        [Parameter(ParameterSetName = 'VMObject', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.VirtualMachine')][psobject[]]$VM,
        [Parameter(ParameterSetName = 'VMName', Mandatory)]
        [string[]]$VMName,
        [Parameter(ParameterSetName = 'VMProcessor', Mandatory)]
        [PSTypeName('Microsoft.HyperV.PowerShell.VMProcessor')][psobject[]]$VMProcessor
    )
    Invoke-World 'Set-VMProcessor' $PSBoundParameters
}
