# A session like the JEA endpoint's, for tests: NoLanguage, the role's functions and nothing else.
#
# Reads lines of base64 of JSON {command, script, parameters} and answers each with one such line
# {output, error, message}. The visible functions are read from the .psrc itself.
$ErrorActionPreference = 'Stop'
$env:PSENGINE_MODULES = $env:OWNERNODE_STUBS  # a job's engine needs them too
$role = & ([scriptblock]::Create([IO.File]::ReadAllText($env:OWNERNODE_ROLE)))
$state = [runspace]::DefaultRunspace.InitialSessionState.Clone()
$state.LanguageMode = $env:OWNERNODE_LANGUAGE
foreach ($command in $state.Commands) { $command.Visibility = 'Private' }
foreach ($path in $env:OWNERNODE_STUBS.Split([IO.Path]::PathSeparator)) {
    $null = $state.ImportPSModule($path)
}
$null = $state.ImportPSModule($env:OWNERNODE_MODULE)
$session = [runspacefactory]::CreateRunspace($state)
$session.Open()
foreach ($found in $session.SessionStateProxy.InvokeCommand.GetCommands('*', 'Function', $true)) {
    if ($found.Name -cnotin $role['VisibleFunctions']) { $found.Visibility = 'Private' }
}
$session.SessionStateProxy.Scripts.Clear()
$session.SessionStateProxy.Applications.Clear()

# As a value arrives over PowerShell remoting: dictionaries and lists, not objects.
function ConvertTo-Sent($Value) {
    if ($Value -is [pscustomobject]) {
        $sent = @{}
        foreach ($property in $Value.PSObject.Properties) {
            $sent[$property.Name] = ConvertTo-Sent $property.Value
        }
        return $sent
    }
    if ($Value -is [array]) {
        $list = [Collections.ArrayList]::new()
        foreach ($one in $Value) { $null = $list.Add((ConvertTo-Sent $one)) }
        return , $list
    }
    return $Value
}

function Invoke-Asked($Asked) {
    $shell = [powershell]::Create()
    $shell.Runspace = $session
    if ($Asked.script) { $null = $shell.AddScript($Asked.command) } else {
        $null = $shell.AddCommand($Asked.command)
        foreach ($property in $Asked.parameters.PSObject.Properties) {
            $null = $shell.AddParameter($property.Name, (ConvertTo-Sent $property.Value))
        }
    }
    $answer = @{ output = @(); error = $null; message = $null }
    try {
        $answer['output'] = @($shell.Invoke() | ForEach-Object { [string]$_ })
        if ($shell.Streams.Error.Count) { throw $shell.Streams.Error[0] }
    } catch {
        $record = $_
        if ($null -ne $record.Exception.InnerException) {
            $record = $record.Exception.InnerException.ErrorRecord
        }
        $answer['error'] = [string]$record.FullyQualifiedErrorId
        $answer['message'] = [string]$record.Exception.Message
    }
    return $answer
}

$reader = [IO.StreamReader]::new([Console]::OpenStandardInput())
while ($null -ne ($line = $reader.ReadLine())) {
    $asked = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($line))
    $answer = ConvertTo-Json -InputObject (Invoke-Asked (ConvertFrom-Json -InputObject $asked)) -Compress
    [Console]::Out.WriteLine([Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($answer)))
    [Console]::Out.Flush()
}
