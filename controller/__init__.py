"""ownernode: keeps Hyper-V VMs on the owner nodes that YAML declares.

The package reads top to bottom; an import may only point down (`make lint` enforces it):

    cli          the command line; the only code that prints
    app          composition root: the one module that knows every concrete class
    engine       asyncio, vendor-free: the loop that observes, plans, acts and reports
    adapters     one outside thing each: specs, WinRM, the local disk, Prometheus, HTTP
    simulator    one simulated failover cluster behind a real WinRM server
    settings     how this process runs
    planning     pure: (desired, observed, history, policy, now) -> plan, and its judge
    ports        what the engine asks of the outside, as Protocols
    model        frozen data and its words
    errors       the error tree
"""

__version__ = "0.1.0"
