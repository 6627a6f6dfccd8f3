# Plain values out of live objects.
#
# Cluster and Hyper-V objects are read anew at each look and refer to one another in circles: what
# is wanted is cast to scalars at once, and nothing else leaves this process.

# Text, or null where Windows has none. [string]$null would be an empty string.
function ConvertTo-Text($Value) {
    if ($null -eq $Value) { return $null }
    $text = [string]$Value
    if ($text.Length -eq 0) { return $null }
    return $text
}

# The name of a node, group or resource type, which is an object on most versions of Windows and
# text on others (seen on Server 2025); null in mid-failover.
function Get-NameOf($Value) {
    if ($null -eq $Value) { return $null }
    if ($Value -is [string]) { return ConvertTo-Text $Value }
    return ConvertTo-Text $Value.Name
}

# A number or null.
function ConvertTo-Number($Value) {
    if ($null -eq $Value) { return $null }
    return [long]$Value
}

# Flags without their sign: some of these enumerations are signed and use the highest bit.
function ConvertTo-Flags($Value) {
    return [long]$Value -band 4294967295
}

# A property that not every version of Windows has.
function Get-OptionalNumber($Object, [string]$Name) {
    $property = $Object.PSObject.Properties[$Name]
    if ($null -eq $property) { return $null }
    return ConvertTo-Number $property.Value
}

function ConvertTo-GuidText($Value) {
    return ([guid][string]$Value).ToString('D')
}

# Whether two names are one to Windows. -eq would compare by culture and skip soft hyphens.
function Test-SameName([string]$One, [string]$Other) {
    return [string]::Equals($One, $Other, [StringComparison]::OrdinalIgnoreCase)
}

# The entries in ordinal order of the given fields, so that equal facts give equal bytes. Not by
# [Array]::Sort(keys, items): PowerShell may hand it a copy of the items.
function Get-Sorted([object[]]$Entries, [string[]]$Fields) {
    $ordinal = [StringComparer]::Ordinal
    $sorted = [Collections.Generic.SortedDictionary[string, object]]::new($ordinal)
    foreach ($entry in $Entries) {
        $parts = @(foreach ($field in $Fields) { [string]$entry[$field] })
        $parts += $sorted.Count.ToString('D8')
        $sorted[[string]::Join([string][char]0, [string[]]$parts)] = $entry
    }
    $sorted.Values
}

function Get-SortedText([string[]]$Texts) {
    $sorted = [Collections.Generic.List[string]]::new($Texts)
    $sorted.Sort([StringComparer]::Ordinal)
    $sorted
}

# The first characters of a message: for people to read, never to decide by.
function Get-Shortened([string]$Text) {
    if ($Text.Length -le 256) { return $Text }
    return $Text.Substring(0, 256)
}

function ConvertTo-ErrorEntry($Record) {
    return [ordered]@{
        kind     = [string]$Record.FullyQualifiedErrorId
        category = [string]$Record.CategoryInfo.Category
        type     = $Record.Exception.GetType().FullName
        hresult  = [int]$Record.Exception.HResult
        message  = Get-Shortened ([string]$Record.Exception.Message)
    }
}

# Whether a FailoverClusters cmdlet says that there is no such object, and nothing else: a missing
# module or right must not look like an absence. 0x8007138F, 0x80071395 and 0x800713B2 are
# ERROR_RESOURCE_NOT_FOUND, ERROR_GROUP_NOT_FOUND and ERROR_CLUSTER_NODE_NOT_FOUND.
function Test-ClusterNotFound($Record) {
    if ([int]$Record.Exception.HResult -in -2147019889, -2147019883, -2147019854) { return $true }
    $isAbsence = [string]$Record.CategoryInfo.Category -ceq 'ObjectNotFound'
    $fromModule = [string]$Record.FullyQualifiedErrorId
    return $isAbsence -and $fromModule.Contains(',Microsoft.FailoverClusters.PowerShell.')
}

# The same for Get-VM, whose error for an unknown id has three spellings.
function Test-VmNotFound($Record) {
    return [string]$Record.FullyQualifiedErrorId -cin @(
        'InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM'
        'InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVMCommand'
        'ObjectNotFound,Microsoft.HyperV.PowerShell.Commands.GetVM'
    )
}
