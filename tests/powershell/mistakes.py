"""One mistake of each kind, by the rule that must find it."""

MISTAKES = {
    "errors": "if ($true) {",
    "newer_than_5_1": "$a = $b ?? 1",
    "non_ascii": "$a = 'caf\u00e9'",
    "unknown command": "Get-VMs",
    "parameter": "Get-VM -VmId $id",
    "parameter set": "New-VHD -Path $path -SizeBytes 1 -Dynamic -ParentPath $parent",
    "unnamed argument": "Set-VM $vm -Notes $text",
    "selected by name": "Get-VM -Name $name",
    "enum member": "Set-VMFirmware -VM $vm -EnableSecureBoot Enabled",
    "property": "$a = $vm.MemoryStartupBytes",
    "type": "$a = [IO.File]::ReadAllText($path)",
    "dynamic command": "& $data",
    "forbidden word": "Stop-ClusterGroup -InputObject $group",
    "expandable string": '$a = "Get-VM $name"',
    "pattern or culture": "$a = $name -like $pattern",
    "line length": "$a = '" + "x" * 100 + "'",
}
