@{
    RootModule        = 'OwnernodeOperations.psm1'
    ModuleVersion     = '1.0.0'
    GUID              = '5f2c8a1e-6f0b-4d0e-9a53-3c1f0e7b9d24'
    Author            = 'ownernode'
    Description       = 'The operations that ownernode asks of a node, for a JEA endpoint.'
    PowerShellVersion = '5.1'
    FunctionsToExport = @(
        'Invoke-OwnernodePing', 'Invoke-OwnernodeDoctor', 'Invoke-OwnernodeObserve',
        'Invoke-OwnernodeClaimEpoch', 'Invoke-OwnernodeMoveRole', 'Invoke-OwnernodeStartRole',
        'Invoke-OwnernodeSetRole', 'Invoke-OwnernodeSetProcessor', 'Invoke-OwnernodeRegisterVm',
        'Invoke-OwnernodeCreateVm', 'Invoke-OwnernodeMoveTrace',
        'Invoke-OwnernodeSuspendNode', 'Invoke-OwnernodeResumeNode', 'Invoke-OwnernodeSetFolders'
    )
    CmdletsToExport   = @()
    VariablesToExport = @()
    AliasesToExport   = @()
}
