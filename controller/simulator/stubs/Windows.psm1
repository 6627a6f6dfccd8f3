# Written by tests/powershell/generate_stubs.py from signatures.json; not to be edited.

function Get-CimInstance {
    [CmdletBinding(DefaultParameterSetName = 'ClassNameComputerSet')]
    param(
        [Parameter(ParameterSetName = 'ClassNameComputerSet', Mandatory)]
        [string]$ClassName,
        [string[]]$ComputerName,
        [Parameter(ParameterSetName = 'ClassNameComputerSet')]
        [string]$Filter,
        [Parameter(ParameterSetName = 'ClassNameComputerSet')]
        [switch]$KeyOnly,
        [string]$Namespace,
        [uint32]$OperationTimeoutSec,
        [Parameter(ParameterSetName = 'ClassNameComputerSet')]
        [string[]]$Property,
        [Parameter(ParameterSetName = 'QueryComputerSet', Mandatory)]
        [string]$Query,
        [string]$QueryDialect,
        [switch]$Shallow
    )
    Invoke-World 'Get-CimInstance' $PSBoundParameters
}

function Get-WinEvent {
    [CmdletBinding()]
    param(
        [string]$ComputerName,
        [object]$Credential,
        [Parameter(Mandatory)]
        [hashtable[]]$FilterHashtable,
        [long]$MaxEvents,
        [switch]$Oldest
    )
    Invoke-World 'Get-WinEvent' $PSBoundParameters
}

function Test-Path {
    [CmdletBinding(DefaultParameterSetName = 'Path')]
    param(
        [object]$Credential,
        [string[]]$Exclude,
        [string]$Filter,
        [string[]]$Include,
        [switch]$IsValid,
        [Parameter(ParameterSetName = 'LiteralPath', Mandatory)]
        [string[]]$LiteralPath,
        [datetime]$NewerThan,
        [datetime]$OlderThan,
        [Parameter(ParameterSetName = 'Path', Mandatory)]
        [string[]]$Path,
        [object]$PathType
    )
    Invoke-World 'Test-Path' $PSBoundParameters
}
