# What `ownernode doctor` asks beside an observation: who we are here, and what this computer is.

function Invoke-Doctor {
    # Loads both modules where they are; where one is not, the reply is the error that says so.
    $null = Get-Cluster
    $computer = Get-CimInstance -ClassName 'Win32_ComputerSystem'
    $system = Get-CimInstance -ClassName 'Win32_OperatingSystem'
    $own = Get-SelfEntry $system (Get-LocalTime $system) 0
    $account = Get-AccountEntry
    $modules = @(Get-Module -Name 'FailoverClusters', 'Hyper-V' | ForEach-Object {
        [ordered]@{ name = [string]$_.Name; version = $_.Version.ToString() }
    })
    return [ordered]@{
        user          = $account['user']
        administrator = $account['administrator']
        domain        = ConvertTo-Text $computer.Domain
        domainJoined  = [bool]$computer.PartOfDomain
        system        = ConvertTo-Text $system.Caption
        build         = ConvertTo-Text $system.BuildNumber
        modules       = @(Get-Sorted $modules 'name', 'version')
        vmPath        = $own['hardware']['vmPath']
        vhdPath       = $own['hardware']['vhdPath']
        time          = $own['time']
    }
}

# The account, and whether it is an administrator of this computer; null where that is not told.
function Get-AccountEntry {
    try {
        $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
        $principal = [Security.Principal.WindowsPrincipal]::new($identity)
        $administrators = [Security.Principal.WindowsBuiltInRole]::Administrator
        return @{
            user          = ConvertTo-Text $identity.Name
            administrator = [bool]$principal.IsInRole($administrators)
        }
    } catch {
        return @{ user = $null; administrator = $null }
    }
}
