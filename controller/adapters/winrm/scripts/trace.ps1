# What a node remembers of a migration that is over. Asked once after a move, in no quiet cycle.

$TraceLogs = @(
    'Microsoft-Windows-Hyper-V-VMMS-Admin'
    'Microsoft-Windows-Hyper-V-High-Availability-Admin'
)
# Failures at the source and in the cluster; 20415 and 20417 tell how long the guest stood still.
$TraceIds = @(20406, 20413, 20415, 20417, 21024, 21125, 21501, 21502)
$TracePauses = @(20415, 20417)
$TraceEventsMax = 64

function Invoke-MoveTrace {
    param(
        [Parameter(Mandatory = $true)][guid]$VmId,
        [Parameter(Mandatory = $true)][int]$Seconds
    )
    $system = Get-CimInstance -ClassName 'Win32_OperatingSystem'
    $since = ([datetime]$system.LocalDateTime).AddSeconds(-$Seconds)
    $reason = $null
    foreach ($group in @(Find-RoleGroup $VmId)) {
        $machine = Find-Resource @(Get-ClusterResource -InputObject $group) 'Virtual Machine'
        $private = Get-PrivateProperties $machine
        $reason = Get-PrivateNumber $private 'MigrationFailureReason'
    }
    $entries = @(foreach ($log in $TraceLogs) { Get-TraceEntries $log $since $VmId })
    return [ordered]@{
        failureReason = $reason
        events        = @(Get-Sorted $entries 'time', 'id')
    }
}

# The events of one log about that VM. Texts are localised; ids, codes and GUIDs are not.
function Get-TraceEntries([string]$Log, [datetime]$Since, [guid]$VmId) {
    $filter = @{ LogName = $Log; Id = $TraceIds; StartTime = $Since }
    # No matching event is an error too, and a log that we may not read tells nothing.
    try {
        $records = @(Get-WinEvent -FilterHashtable $filter -MaxEvents $TraceEventsMax)
    } catch { return }
    $culture = [Globalization.CultureInfo]::InvariantCulture
    foreach ($record in $records) {
        $values = @(foreach ($property in $record.Properties) { [string]$property.Value })
        $text = [string]::Join(' ', [string[]]@($values + [string]$record.Message))
        $text = $text.ToLowerInvariant()
        if (-not $text.Contains($VmId.ToString('D'))) { continue }
        $pause = $null
        # Its values are the VM's name, the VM's id, and the seconds.
        if ([int]$record.Id -in $TracePauses -and $values.Count -gt 2) { $pause = $values[2] }
        [ordered]@{
            id    = [int]$record.Id
            time  = ([datetime]$record.TimeCreated).ToUniversalTime().ToString(
                'yyyy-MM-ddTHH:mm:ss.fffZ', $culture
            )
            pause = ConvertTo-Text $pause
            codes = @(foreach ($match in [regex]::Matches($text, '0x[0-9a-f]{8}')) { $match.Value })
        }
    }
}
