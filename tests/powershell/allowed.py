"""What the scripts may use beside the two modules: tables for `lint`, each entry on purpose."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CLUSTER = "Microsoft.FailoverClusters.PowerShell."
_HYPER_V = "Microsoft.HyperV.PowerShell."
_CIM = "Microsoft.Management.Infrastructure.CimInstance#root/cimv2/"
_CIM_MSCLUSTER = "Microsoft.Management.Infrastructure.CimInstance#root/MSCluster/"

# Commands of PowerShell 5.1 itself with the parameters in use.
COMMANDS: dict[str, set[str]] = {
    "ConvertFrom-Json": {"InputObject"},
    "ConvertTo-Json": {"Compress", "Depth", "InputObject"},
    "ForEach-Object": set(),
    "Get-Module": {"Name"},
    "Select-Object": {"First", "Skip"},
    "Set-StrictMode": {"Version"},
    "Where-Object": set(),
}

# The only commands whose name is not a word of the script. None is made of data: a table of ours,
# a function name out of a table of ours, and the agent's own text.
DYNAMIC: dict[str, set[str]] = {
    "bootstrap.ps1": {". ([scriptblock]::Create($AgentText))"},
    "conditions.ps1": {"& $Conditions[$name] $Case"},
    "replies.ps1": {"& $function @Arguments"},
}

# Types of the .NET Framework 4.6.2 (Windows Server 2016) and PowerShell 5.1.
TYPES = _words(
    """BitConverter Collections.Generic.List[string]
    Collections.Generic.SortedDictionary[string,object] Console Convert Diagnostics.Process
    Diagnostics.ProcessStartInfo Environment Globalization.CultureInfo
    IO.Compression.CompressionMode IO.Compression.GZipStream IO.MemoryStream IO.StreamReader
    Management.Automation.ParameterBindingException Math
    Security.Cryptography.SHA256CryptoServiceProvider Security.Principal.WindowsBuiltInRole
    Security.Principal.WindowsIdentity Security.Principal.WindowsPrincipal StringComparer
    StringComparison Text.Encoding Text.UTF8Encoding bool char datetime guid int long object[]
    ordered psobject regex scriptblock string string[] timespan"""
)

# Their members.
MEMBERS = _words(
    """ASCII AddSeconds Administrator Arguments BaseStream Category CategoryInfo Clear Close
    Compress ComputeHash Contains ContainsKey Count Create CreateNoWindow Decompress EndsWith
    EnvironmentVariables Equals Exception FileName Floor Flush FromBase64String FullName
    FullyQualifiedErrorId GetBytes
    GetCommandLineArgs GetCurrent GetCurrentProcess GetEnvironmentVariable GetString GetType Groups
    HResult InvariantCulture IsCompleted IsInRole Join Keys Kill Length MainModule Match Matches
    Message Min OpenStandardInput OpenStandardOutput Ordinal OrdinalIgnoreCase PSObject PSVersion
    Properties ReadLine ReadLineAsync ReadToEnd ReadToEndAsync RedirectStandardError
    RedirectStandardInput
    RedirectStandardOutput Remove Replace Result Sort Split StandardError StandardInput
    StandardOutput Start StartsWith Substring Success Ticks ToArray ToBase64String ToLowerInvariant
    ToString ToUniversalTime TotalSeconds TrimEnd UTF8 UseShellExecute Value Values Wait Write
    WriteAsync new"""
)

# Keys of our own tables, and fields of docs/protocol.md.
OWN_FIELDS = _words(
    """$name arguments clustered controller createBytes disks drain epoch error errors generation
    holder intent iso location local locked memoryMaximumBytes memoryMinimumBytes
    memoryStartupBytes name networkBoot node nodes operation output owner path physicalDrive
    processorCompatibility processors reading secureBootTemplate state status step stopAction
    switch template vlan vmId"""
)

# Which variable holds which live object, by script (variables have no case).
LIVE: dict[str, dict[str, tuple[str, ...]]] = {
    "observe.ps1": {
        "$adapter": (_HYPER_V + "VMNetworkAdapter",),
        "$cluster": (_CLUSTER + "Cluster",),
        "$computer": (_CIM + "Win32_ComputerSystem",),
        "$drive": (_HYPER_V + "HardDiskDrive", _HYPER_V + "DvdDrive"),
        "$group": (_CLUSTER + "ClusterGroup",),
        "$hypervisor": (_HYPER_V + "VMHost",),
        "$list": (_CLUSTER + "ClusterOwnerNodeList",),
        "$local": (_CLUSTER + "ClusterNode",),
        "$mount": (_CLUSTER + "ClusterSharedVolumeInfo",),
        "$node": (_CLUSTER + "ClusterNode",),
        "$parameter": (_CLUSTER + "ClusterParameter",),
        "$partition": (_CLUSTER + "ClusterDiskPartitionInfo",),
        "$processor": (_HYPER_V + "VMProcessor", _CIM + "Win32_Processor"),
        "$resource": (_CLUSTER + "ClusterResource",),
        "$rule": (_CIM_MSCLUSTER + "MSCluster_AffinityRule",),
        "$security": (_HYPER_V + "VMSecurity",),
        "$system": (_CIM + "Win32_OperatingSystem",),
        "$type": (_CLUSTER + "ClusterResourceType",),
        "$vm": (_HYPER_V + "VirtualMachine",),
        "$volume": (_CLUSTER + "ClusterSharedVolume",),
    },
    "doctor.ps1": {
        "$computer": (_CIM + "Win32_ComputerSystem",),
        "$system": (_CIM + "Win32_OperatingSystem",),
    },
    "conditions.ps1": {
        "$dvd": (_HYPER_V + "DvdDrive",),
        "$reader": (_CIM + "Win32_CDROMDrive",),
        "$drive": (_HYPER_V + "HardDiskDrive",),
        "$group": (_CLUSTER + "ClusterGroup",),
        "$vm": (_HYPER_V + "VirtualMachine",),
    },
    "trace.ps1": {
        "$property": ("System.Diagnostics.Eventing.Reader.EventProperty",),
        "$record": ("System.Diagnostics.Eventing.Reader.EventLogRecord",),
        "$system": (_CIM + "Win32_OperatingSystem",),
    },
    "job.ps1": {"$vm": (_HYPER_V + "VirtualMachine",)},
}
