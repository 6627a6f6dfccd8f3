# Written by tests/powershell/generate_stubs.py from signatures.json; not to be edited.

function Add-ClusterVirtualMachineRole {
    [CmdletBinding()]
    param(
        [string]$Cluster,
        [psobject]$InputObject,
        [string]$Name,
        [guid]$VMId,
        [string]$VMName,
        [string]$VirtualMachine
    )
    Invoke-World 'Add-ClusterVirtualMachineRole' $PSBoundParameters
}

function Get-Cluster {
    [CmdletBinding()]
    param(
        [string]$Domain,
        [string]$Name
    )
    Invoke-World 'Get-Cluster' $PSBoundParameters
}

function Get-ClusterAffinityRule {
    [CmdletBinding()]
    param(
        [switch]$AsJob,
        [object[]]$CimSession,
        [string[]]$Name,
        [int]$ThrottleLimit
    )
    Invoke-World 'Get-ClusterAffinityRule' $PSBoundParameters
}

function Get-ClusterGroup {
    [CmdletBinding()]
    param(
        [string]$Cluster,
        [psobject]$InputObject,
        [System.Collections.Specialized.StringCollection]$Name,
        [guid]$VMId
    )
    Invoke-World 'Get-ClusterGroup' $PSBoundParameters
}

function Get-ClusterNode {
    [CmdletBinding()]
    param(
        [string]$Cluster,
        [psobject]$InputObject,
        [System.Collections.Specialized.StringCollection]$Name
    )
    Invoke-World 'Get-ClusterNode' $PSBoundParameters
}

function Get-ClusterOwnerNode {
    [CmdletBinding()]
    param(
        [string]$Cluster,
        [string]$Group,
        [psobject]$InputObject,
        [string]$Resource,
        [string]$ResourceType
    )
    Invoke-World 'Get-ClusterOwnerNode' $PSBoundParameters
}

function Get-ClusterParameter {
    [CmdletBinding()]
    param(
        [string]$Cluster,
        [psobject]$InputObject,
        [System.Collections.Specialized.StringCollection]$Name
    )
    Invoke-World 'Get-ClusterParameter' $PSBoundParameters
}

function Get-ClusterResource {
    [CmdletBinding()]
    param(
        [string]$Cluster,
        [psobject]$InputObject,
        [System.Collections.Specialized.StringCollection]$Name,
        [guid]$VMId
    )
    Invoke-World 'Get-ClusterResource' $PSBoundParameters
}

function Get-ClusterResourceType {
    [CmdletBinding()]
    param(
        [string]$Cluster,
        [psobject]$InputObject,
        [System.Collections.Specialized.StringCollection]$Name
    )
    Invoke-World 'Get-ClusterResourceType' $PSBoundParameters
}

function Get-ClusterSharedVolume {
    [CmdletBinding()]
    param(
        [string]$Cluster,
        [psobject]$InputObject,
        [System.Collections.Specialized.StringCollection]$Name
    )
    Invoke-World 'Get-ClusterSharedVolume' $PSBoundParameters
}

function Get-ClusterSharedVolumeState {
    [CmdletBinding()]
    param(
        [string]$Cluster,
        [psobject]$InputObject,
        [System.Collections.Specialized.StringCollection]$Name,
        [System.Collections.Specialized.StringCollection]$Node
    )
    Invoke-World 'Get-ClusterSharedVolumeState' $PSBoundParameters
}

function Move-ClusterVirtualMachineRole {
    [CmdletBinding()]
    param(
        [switch]$Cancel,
        [string]$Cluster,
        [switch]$IgnoreLocked,
        [psobject]$InputObject,
        [Microsoft.FailoverClusters.NativeHelp.VmMigrationType]$MigrationType,
        [string]$Name,
        [string]$Node,
        [guid]$VMId,
        [int]$Wait
    )
    Invoke-World 'Move-ClusterVirtualMachineRole' $PSBoundParameters
}

function Resume-ClusterNode {
    [CmdletBinding()]
    param(
        [string]$Cluster,
        [Microsoft.FailoverClusters.PowerShell.ResumeClusterNodeFailbackType]$Failback,
        [psobject]$InputObject,
        [System.Collections.Specialized.StringCollection]$Name
    )
    Invoke-World 'Resume-ClusterNode' $PSBoundParameters
}

function Set-ClusterOwnerNode {
    [CmdletBinding()]
    param(
        [string]$Cluster,
        [string]$Group,
        [psobject]$InputObject,
        [Parameter(Mandatory)]
        [System.Collections.Specialized.StringCollection]$Owners,
        [string]$Resource
    )
    Invoke-World 'Set-ClusterOwnerNode' $PSBoundParameters
}

function Set-ClusterParameter {
    [CmdletBinding()]
    param(
        [string]$Cluster,
        [switch]$Create,
        [switch]$Delete,
        [psobject]$InputObject,
        [Parameter(ParameterSetName = 'Multiple Parameter')]
        [hashtable]$Multiple,
        [Parameter(ParameterSetName = 'Single Parameter')]
        [string]$Name,
        [Parameter(ParameterSetName = 'Single Parameter')]
        [psobject]$Value
    )
    Invoke-World 'Set-ClusterParameter' $PSBoundParameters
}

function Start-ClusterGroup {
    [CmdletBinding()]
    param(
        [switch]$ChooseBestNode,
        [string]$Cluster,
        [switch]$IgnoreLocked,
        [psobject]$InputObject,
        [string]$Name,
        [int]$Wait
    )
    Invoke-World 'Start-ClusterGroup' $PSBoundParameters
}

function Suspend-ClusterNode {
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [string]$Cluster,
        [switch]$Drain,
        [switch]$ForceDrain,
        [psobject]$InputObject,
        [System.Collections.Specialized.StringCollection]$Name,
        [string]$TargetNode,
        [switch]$Wait
    )
    Invoke-World 'Suspend-ClusterNode' $PSBoundParameters
}
