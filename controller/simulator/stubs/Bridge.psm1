# The way from a stub cmdlet into the simulated world, and back as typed objects.
#
# One line of JSON asks, one answers. The types are those of types.json: real .NET enums of the real
# names, and objects that have the reflected properties only, so that a misspelt property fails here
# as it would on a node.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$module = [Reflection.Emit.AssemblyBuilder]::DefineDynamicAssembly(
    [Reflection.AssemblyName]::new('OwnernodeStubs'), [Reflection.Emit.AssemblyBuilderAccess]::Run
).DefineDynamicModule('OwnernodeStubs')
$exceptions = @{}
$connection = $null

# ---- types ----

$classes = [Collections.Generic.Dictionary[string, object]]::new()
$types = [Text.Json.JsonDocument]::Parse([IO.File]::ReadAllText("$PSScriptRoot/types.json")).RootElement
foreach ($enum in $types.GetProperty('enums').EnumerateObject()) {
    $builder = $module.DefineEnum($enum.Name, [Reflection.TypeAttributes]::Public, [long])
    foreach ($member in $enum.Value.EnumerateObject()) {
        $null = $builder.DefineLiteral($member.Name, $member.Value.GetInt64())
    }
    $null = $builder.CreateType()
}
foreach ($class in $types.GetProperty('classes').EnumerateObject()) {
    $properties = [Collections.Generic.Dictionary[string, string]]::new()
    foreach ($property in $class.Value.EnumerateObject()) {
        $declared = $property.Value.GetString()
        $properties[$property.Name] = [regex]::Match($declared, 'Guid|U?Int(32|64)').Value
    }
    $classes[$class.Name] = $properties
}

# An exception class of the given full name, with the constructor (message, hresult).
function Get-ExceptionType([string]$Name) {
    $known = $Name -as [type]
    if ($null -ne $known -and $known.GetConstructor([type[]]@([string], [int]))) { return $known }
    if (-not $exceptions.ContainsKey($Name)) {
        $builder = $module.DefineType($Name, [Reflection.TypeAttributes]::Public, [Exception])
        $constructor = $builder.DefineConstructor(
            [Reflection.MethodAttributes]::Public, [Reflection.CallingConventions]::Standard,
            [type[]]@([string], [int])
        )
        $code = $constructor.GetILGenerator()
        $code.Emit([Reflection.Emit.OpCodes]::Ldarg_0)
        $code.Emit([Reflection.Emit.OpCodes]::Ldarg_1)
        $code.Emit([Reflection.Emit.OpCodes]::Call, [Exception].GetConstructor([type[]]@([string])))
        $code.Emit([Reflection.Emit.OpCodes]::Ldarg_0)
        $code.Emit([Reflection.Emit.OpCodes]::Ldarg_2)
        $setter = [Exception].GetProperty('HResult').GetSetMethod($true)
        $code.Emit([Reflection.Emit.OpCodes]::Call, $setter)
        $code.Emit([Reflection.Emit.OpCodes]::Ret)
        $exceptions[$Name] = $builder.CreateType()
    }
    return $exceptions[$Name]
}

# ---- values ----

function ConvertTo-Wire($Value) {
    if ($null -eq $Value) { return $null }
    if ($Value -is [switch]) { return [bool]$Value }
    if ($Value -is [guid] -or $Value -is [version]) { return $Value.ToString() }
    if ($Value -is [Enum]) {
        return @{
            kind = 'enum'; type = $Value.GetType().FullName; name = [string]$Value
            number = [Convert]::ToInt64($Value)
        }
    }
    if ($Value -is [datetime]) {
        return @{ kind = 'time'; value = $Value.ToUniversalTime().ToString('o') }
    }
    if ($Value -is [Collections.IDictionary]) {
        $entries = @{}
        foreach ($key in $Value.Keys) { $entries[[string]$key] = ConvertTo-Wire $Value[$key] }
        return @{ kind = 'table'; entries = $entries }
    }
    if ($Value -is [Management.Automation.PSCustomObject]) {
        $properties = @{}
        foreach ($property in $Value.PSObject.Properties) {
            $isPlain = $property.Value -is [ValueType] -or $property.Value -is [string]
            if ($isPlain -and $property.Value -isnot [timespan] -and $property.Value -isnot [datetime]) {
                $properties[$property.Name] = ConvertTo-Wire $property.Value
            }
        }
        return @{ kind = 'object'; type = $Value.PSObject.TypeNames[0]; properties = $properties }
    }
    if ($Value -is [Collections.IEnumerable] -and $Value -isnot [string]) {
        $list = [Collections.Generic.List[object]]::new()
        foreach ($item in $Value) { $list.Add((ConvertTo-Wire $item)) }
        return , $list.ToArray()
    }
    return $Value
}

function ConvertFrom-Wire([Text.Json.JsonElement]$Element, [string]$Type) {
    switch ($Element.ValueKind) {
        'Null' { return $null }
        'True' { return $true }
        'False' { return $false }
        'String' { return ConvertTo-Declared $Element.GetString() $Type }
        'Number' {
            $whole = [long]0
            if ($Element.TryGetInt64([ref]$whole)) { return ConvertTo-Declared $whole $Type }
            return $Element.GetDouble()
        }
        'Array' {
            $list = [Collections.Generic.List[object]]::new()
            foreach ($item in $Element.EnumerateArray()) { $list.Add((ConvertFrom-Wire $item '')) }
            return , $list.ToArray()
        }
    }
    $kind = $Element.GetProperty('kind').GetString()
    switch ($kind) {
        'time' {
            return [datetime]::Parse($Element.GetProperty('value').GetString(), $null, 'RoundtripKind')
        }
        'span' { return [timespan]::FromTicks($Element.GetProperty('value').GetInt64()) }
        'enum' {
            $enum = [type]$Element.GetProperty('type').GetString()
            return [Enum]::ToObject($enum, $Element.GetProperty('number').GetInt64())
        }
        'object' { return ConvertFrom-WireObject $Element }
    }
    throw "A value of unknown kind '$kind' came over the bridge."
}

# Numbers and GUIDs in the width that the class declares; other declarations say nothing here.
function ConvertTo-Declared($Value, [string]$Type) {
    switch ($Type) {
        '' { return $Value }
        'Guid' { return [guid]$Value }
        'UInt64' { return [uint64]$Value }
        'UInt32' { return [uint32]$Value }
        'Int64' { return [long]$Value }
        'Int32' { return [int]$Value }
    }
}

# Properties that the cluster takes when a script assigns to them.
$Writable = @(
    'Microsoft.FailoverClusters.PowerShell.ClusterGroup AutoFailbackType'
    'Microsoft.FailoverClusters.PowerShell.ClusterGroup Priority'
)

function Add-Writable($Object, [string]$Name, $Value) {
    $getter = { $Value }.GetNewClosure()
    $setter = {
        param($To)
        $null = Invoke-World 'Set-ClusterGroup.Property' @{
            InputObject = $Object; Name = $Name; Value = $To
        }
    }.GetNewClosure()
    $property = [Management.Automation.PSScriptProperty]::new($Name, $getter, $setter)
    $Object.PSObject.Properties.Add($property)
}

function ConvertFrom-WireObject([Text.Json.JsonElement]$Element) {
    $type = $Element.GetProperty('type').GetString()
    if (-not $classes.ContainsKey($type)) { throw "The class '$type' is not in types.json." }
    $declared = $classes[$type]
    $object = [pscustomobject]@{}
    $object.PSObject.TypeNames.Insert(0, $type)
    foreach ($property in $Element.GetProperty('properties').EnumerateObject()) {
        if (-not $declared.ContainsKey($property.Name)) {
            throw "The real class '$type' has no property '$($property.Name)'."
        }
        $value = ConvertFrom-Wire $property.Value $declared[$property.Name]
        $written = "$type $($property.Name)"
        if ($written -cin $Writable) { Add-Writable $object $property.Name $value } else {
            $object.PSObject.Properties.Add(
                [Management.Automation.PSNoteProperty]::new($property.Name, $value)
            )
        }
    }
    return $object
}

# ---- calls ----

function Connect-World {
    $address, $port, $token = $env:OWNERNODE_BRIDGE.Split(' ')
    $client = [Net.Sockets.TcpClient]::new($address, [int]$port)
    $client.NoDelay = $true
    $utf8 = [Text.UTF8Encoding]::new($false)
    $writer = [IO.StreamWriter]::new($client.GetStream(), $utf8)
    $writer.AutoFlush = $true
    $writer.Write($token + "`n")
    $script:connection = @{
        Reader = [IO.StreamReader]::new($client.GetStream(), $utf8)
        Writer = $writer
    }
}

# Runs a cmdlet in the world. What it refuses is thrown as the error record of the real cmdlet; a
# node without power takes this process with it.
function Invoke-World([string]$Cmdlet, $Bound) {
    if ($null -eq $connection) { Connect-World }
    $common = [Management.Automation.PSCmdlet]::CommonParameters
    $parameters = @{}
    foreach ($name in $Bound.Keys) {
        if ($name -notin $common) { $parameters[$name] = ConvertTo-Wire $Bound[$name] }
    }
    $call = ConvertTo-Json -InputObject @{ cmdlet = $Cmdlet; parameters = $parameters } -Depth 8 -Compress
    $connection.Writer.Write($call + "`n")
    $line = $connection.Reader.ReadLine()
    if ($null -eq $line) { [Environment]::Exit(1) }
    $answer = [Text.Json.JsonDocument]::Parse($line).RootElement
    $failure = [Text.Json.JsonElement]::new()
    if ($answer.TryGetProperty('error', [ref]$failure)) { throw (New-WorldError $failure) }
    foreach ($item in $answer.GetProperty('objects').EnumerateArray()) { ConvertFrom-Wire $item '' }
}

function New-WorldError([Text.Json.JsonElement]$Failure) {
    $type = Get-ExceptionType $Failure.GetProperty('type').GetString()
    $message = $Failure.GetProperty('message').GetString()
    $exception = $type::new($message, $Failure.GetProperty('hresult').GetInt32())
    $category = $Failure.GetProperty('category').GetString()
    return [Management.Automation.ErrorRecord]::new(
        $exception, $Failure.GetProperty('fqid').GetString(), $category, $null
    )
}

Export-ModuleMember -Function Invoke-World
