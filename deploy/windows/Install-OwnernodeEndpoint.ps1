# Offers the operations of ownernode on this node, through a JEA endpoint named Ownernode.
#
# Run it as an administrator on each node of the cluster, from a copy of the project's files:
#
#     .\Install-OwnernodeEndpoint.ps1 -ServiceAccount 'CORP\gmsa-owner$' -Callers 'CORP\ownernode'
#
# It copies the module below Program Files, where only administrators may write, makes the folder
# for transcripts, and registers the endpoint, for which WinRM restarts. Run again, it replaces what
# is there. It grants no right: README.md says which the service account needs.
#Requires -RunAsAdministrator
#Requires -Version 5.1
param(
    # The group managed service account as which the functions run, with its dollar sign.
    [Parameter(Mandatory = $true)]
    [ValidatePattern('\A[A-Za-z0-9.-]{1,64}\\[A-Za-z0-9._-]{1,63}\$\z')][string]$ServiceAccount,
    # The account or group that may connect: the controller's, and nobody else's.
    [Parameter(Mandatory = $true)]
    [ValidatePattern('\A[A-Za-z0-9.-]{1,64}\\[A-Za-z0-9 ._-]{1,63}\$?\z')][string]$Callers,
    # The scripts that the controller's agent runs too.
    [string]$Scripts = (Join-Path $PSScriptRoot '..\..\controller\adapters\winrm\scripts')
)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

# 1. The module, with the scripts that do the work.
$module = Join-Path $env:ProgramFiles 'WindowsPowerShell\Modules\OwnernodeOperations'
if (Test-Path -LiteralPath $module) { Remove-Item -LiteralPath $module -Recurse }
Copy-Item -LiteralPath (Join-Path $PSScriptRoot 'OwnernodeOperations') -Destination $module -Recurse
$null = New-Item -Path (Join-Path $module 'scripts') -ItemType Directory
Copy-Item -Path (Join-Path $Scripts '*.ps1') -Destination (Join-Path $module 'scripts')

# 2. The folder for transcripts, which only administrators and the system may read.
$transcripts = Join-Path $env:ProgramData 'Ownernode\Transcripts'
$null = New-Item -Path $transcripts -ItemType Directory -Force
$null = & icacls.exe $transcripts /inheritance:r /grant '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F'

# 3. The session configuration, with the two names in their places.
$configuration = Join-Path $module 'Ownernode.pssc'
$text = [IO.File]::ReadAllText((Join-Path $PSScriptRoot 'Ownernode.pssc'))
$text = $text.Replace("'SERVICE-ACCOUNT'", "'$ServiceAccount'").Replace("'CALLERS'", "'$Callers'")
[IO.File]::WriteAllText($configuration, $text)
if (-not (Test-PSSessionConfigurationFile -Path $configuration)) {
    throw "$configuration is not a session configuration."
}

# 4. The endpoint. WinRM restarts, which ends the remote sessions that are open now.
if (Get-PSSessionConfiguration | Where-Object { $_.Name -eq 'Ownernode' }) {
    Unregister-PSSessionConfiguration -Name 'Ownernode' -NoServiceRestart -Force
}
$null = Register-PSSessionConfiguration -Name 'Ownernode' -Path $configuration -Force
Get-PSSessionConfiguration -Name 'Ownernode' | Format-List Name, PSVersion, Permission
