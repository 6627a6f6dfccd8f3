# Registration and creation, each in a process of its own that the agent starts and watches.
#
# Some Hyper-V cmdlets hang in a PowerShell that reads commands from stdin, and creating disks
# takes long. The process is started just as an agent is; the variable OWNERNODE_JOB tells it
# what it is. It gets one line of data on stdin and reports with lines
# `HV1 <intent> job <base64 of JSON>`.

# ---- the agent's side ----

$JobsMax = 256  # finished ones beyond it are forgotten, the oldest first
$JobStartMilliseconds = 30000
$Jobs = [ordered]@{}

function Start-NodeJob([string]$Operation, [string]$Intent, $Arguments) {
    $start = [Diagnostics.ProcessStartInfo]::new()
    $start.FileName = $JobProgram
    $start.Arguments = $JobSwitches
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    $start.EnvironmentVariables['OWNERNODE_JOB'] = '1'
    $data = ConvertTo-Payload @{ operation = $Operation; intent = $Intent; arguments = $Arguments }
    $bytes = [Text.Encoding]::ASCII.GetBytes($AgentLine + [char]10 + $data + [char]10)
    $process = [Diagnostics.Process]::Start($start)
    # Bytes, not the text writer, which would put a byte-order mark first.
    $pipe = $process.StandardInput.BaseStream
    if (-not $pipe.WriteAsync($bytes, 0, $bytes.Length).Wait($JobStartMilliseconds)) {
        $process.Kill()
        throw 'The process of the job does not read its input.'
    }
    $process.StandardInput.Close()
    Limit-Jobs
    $Jobs[$Intent] = @{
        operation = $Operation
        state     = 'Running'
        step      = $null
        vmId      = $null
        error     = $null
        output    = $process.StandardOutput
        reading   = $process.StandardOutput.ReadLineAsync()
        errors    = $process.StandardError.ReadToEndAsync()
    }
}

# Makes room for one more.
function Limit-Jobs {
    foreach ($intent in @($Jobs.Keys)) {
        if ($Jobs.Count -lt $JobsMax) { return }
        if ($Jobs[$intent].state -cne 'Running') { $Jobs.Remove($intent) }
    }
}

function Get-JobState([string]$Intent) {
    if (-not $Jobs.Contains($Intent)) { return $null }
    Update-Job $Jobs[$Intent]
    return $Jobs[$Intent].state
}

function Get-JobEntries {
    foreach ($intent in @($Jobs.Keys)) {
        $job = $Jobs[$intent]
        Update-Job $job
        [ordered]@{
            intent    = $intent
            operation = $job.operation
            state     = $job.state
            step      = $job.step
            vmId      = $job.vmId
            error     = $job.error
        }
    }
}

# Takes in what the process has said since the last look, without waiting for more.
function Update-Job($Job) {
    while ($null -ne $Job.reading -and $Job.reading.IsCompleted) {
        $line = $Job.reading.Result
        if ($null -eq $line) {
            $Job.reading = $null
            if ($Job.state -ceq 'Running') {
                $Job.state = 'Failed'
                $Job.error = Get-Shortened ('JobLost: ' + (Get-JobLastWords $Job))
            }
            return
        }
        $words = $line.Split(' ')
        if ($words.Count -eq 4 -and $words[0] -ceq 'HV1' -and $words[2] -ceq 'job') {
            $report = ConvertFrom-Payload $words[3]
            foreach ($name in 'state', 'step', 'vmId', 'error') { $Job[$name] = $report.$name }
        }
        $Job.reading = $Job.output.ReadLineAsync()
    }
}

function Get-JobLastWords($Job) {
    if ($Job.errors.Wait(1000) -and $Job.errors.Result.Length) { return $Job.errors.Result }
    return 'the process ended without a result.'
}

# ---- the job's side ----

# Reads the one line of data, does the work, and reports each step and the end.
function Invoke-Job {
    $job = ConvertFrom-Payload ($AgentInput.ReadLine())
    $status = @{
        intent = $job.intent
        state  = 'Running'
        step   = $null
        vmId   = $null
        error  = $null
        fence  = $job.arguments
    }
    try {
        if ($job.operation -ceq 'registerVm') {
            Invoke-RegisterJob $status $job.arguments
        } else {
            Invoke-CreateJob $status $job.arguments
        }
        $status['state'] = 'Succeeded'
    } catch {
        $entry = ConvertTo-ErrorEntry $_
        $words = $entry['message']
        # An error that these scripts throw themselves has its message as its kind.
        if (-not $words.Equals($entry['kind'])) { $words = $entry['kind'] + ': ' + $words }
        $status['state'] = 'Failed'
        $status['error'] = Get-Shortened $words
    }
    Write-JobStatus $status
}

function Write-JobStatus($Status) {
    $report = @{
        state = $Status['state']
        step  = $Status['step']
        vmId  = $Status['vmId']
        error = $Status['error']
    }
    Write-Lines ('HV1 {0} job {1}' -f $Status['intent'], (ConvertTo-Payload $report))
}

# In front of each step the caller must still hold the cluster: a job that goes on for one that was
# superseded would act beside its successor.
function Enter-Step($Status, [string]$Step) {
    $Status['step'] = $Step
    Write-JobStatus $Status
    $fence = $Status['fence']
    Confirm-Conditions @('epochCurrent') @{ epoch = [long]$fence.epoch; holder = $fence.holder }
}

# What a pause between the call and this process could have changed is checked again.
function Confirm-Conditions([string[]]$Names, $Case) {
    $refusal = Find-Refusal $Names $Case
    if ($null -ne $refusal) {
        throw ('Refused: {0}, found {1}' -f $refusal['condition'], $refusal['found'])
    }
}

# By id and on the VM's own node: by name the cmdlet would search every node, a second hop.
function Invoke-RegisterJob($Status, $Arguments) {
    $Status['vmId'] = $Arguments.vmId
    Enter-Step $Status 'register'
    Confirm-Conditions @('notStopped', 'vmHere', 'notClustered') @{ vmId = [guid]$Arguments.vmId }
    $null = Add-ClusterVirtualMachineRole -VMId $Arguments.vmId
}

# The steps of docs/protocol.md, in its order. Nothing is taken back when one fails.
function Invoke-CreateJob($Status, $Arguments) {
    $template = $Arguments.template
    $mark = 'ownernode:{0}:' -f $Arguments.intent

    Enter-Step $Status 'newVm'
    $case = @{ name = $Arguments.name; template = $template }
    Confirm-Conditions @('notStopped', 'nameFree', 'disksUnattached') $case
    $vm = New-BareVm $Arguments.name $template
    $Status['vmId'] = ConvertTo-GuidText $vm.Id

    Enter-Step $Status 'mark'
    Set-VM -VM $vm -Notes ($mark + 'creating')

    Enter-Step $Status 'memory'
    Set-BareVmMemory $vm $template

    Enter-Step $Status 'processors'
    if ($template.processorCompatibility) {
        Set-VMProcessor -VM $vm -Count $template.processors -CompatibilityForMigrationEnabled $true
    } else {
        Set-VMProcessor -VM $vm -Count $template.processors
    }

    if (@($template.disks).Count) {
        Enter-Step $Status 'disks'
        Add-BareVmDisks $vm $template
    }
    if ($null -ne $template.iso -or $null -ne $template.physicalDrive) {
        Enter-Step $Status 'media'
        Add-BareVmMedia $vm $template
    }
    if ($null -ne $template.vlan) {
        Enter-Step $Status 'network'
        Set-VMNetworkAdapterVlan -VM $vm -Access -VlanId $template.vlan
    }
    if ($template.generation -eq 2 -and $null -ne $template.secureBootTemplate) {
        Enter-Step $Status 'firmware'
        Set-VMFirmware -VM $vm -EnableSecureBoot On -SecureBootTemplate $template.secureBootTemplate
    }
    if ($null -ne $template.stopAction) {
        Enter-Step $Status 'stopAction'
        Set-VM -VM $vm -AutomaticStopAction $template.stopAction
    }

    Enter-Step $Status 'finish'
    Set-VM -VM $vm -Notes ($mark + 'created')
}

# Without -SwitchName the adapter stays unconnected; an empty name would be an error.
function New-BareVm([string]$Name, $Template) {
    $path = $Template.location
    $generation = $Template.generation
    $memory = $Template.memoryStartupBytes
    if (-not $Template.networkBoot) {
        if ($null -eq $Template.switch) {
            return New-VM -Name $Name -Path $path -Generation $generation `
                -MemoryStartupBytes $memory -NoVHD
        }
        return New-VM -Name $Name -Path $path -Generation $generation `
            -MemoryStartupBytes $memory -NoVHD -SwitchName $Template.switch
    }
    # Only a legacy adapter boots a generation 1 VM.
    $device = $(if ($generation -eq 1) { 'LegacyNetworkAdapter' } else { 'NetworkAdapter' })
    if ($null -eq $Template.switch) {
        return New-VM -Name $Name -Path $path -Generation $generation `
            -MemoryStartupBytes $memory -NoVHD -BootDevice $device
    }
    return New-VM -Name $Name -Path $path -Generation $generation `
        -MemoryStartupBytes $memory -NoVHD -BootDevice $device -SwitchName $Template.switch
}

function Set-BareVmMemory($Vm, $Template) {
    $startup = $Template.memoryStartupBytes
    if ($null -eq $Template.memoryMinimumBytes -or $null -eq $Template.memoryMaximumBytes) {
        Set-VMMemory -VM $Vm -DynamicMemoryEnabled $false -StartupBytes $startup
        return
    }
    Set-VMMemory -VM $Vm -DynamicMemoryEnabled $true -StartupBytes $startup `
        -MinimumBytes $Template.memoryMinimumBytes -MaximumBytes $Template.memoryMaximumBytes
}

function Add-BareVmDisks($Vm, $Template) {
    foreach ($disk in @($Template.disks)) {
        if ($null -ne $disk.createBytes) {
            $null = New-VHD -Path $disk.path -SizeBytes $disk.createBytes -Dynamic
        }
        Add-VMHardDiskDrive -VM $Vm -ControllerType $disk.controller -Path $disk.path
    }
}

# Generation 1 is born with a DVD drive, generation 2 without.
function Add-BareVmMedia($Vm, $Template) {
    $path = $(if ($null -ne $Template.iso) { $Template.iso } else { $Template.physicalDrive })
    if ($Template.generation -eq 1) {
        $drive = @(Get-VMDvdDrive -VM $Vm)[0]
        Set-VMDvdDrive -VMDvdDrive $drive -Path $path
        return
    }
    Add-VMDvdDrive -VM $Vm -Path $path
}
