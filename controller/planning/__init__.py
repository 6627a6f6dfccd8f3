"""Pure and synchronous: (desired, observed, history, now) -> plan, its audit, and the report.

resolve        spec documents -> DesiredState
absorb         history, brought forward by one snapshot
view           everything a plan rests on, indexed; identity: which VM a spec means
standing       what each VM is as far as its own facts go; guards: what may not be done now
choices        who should end where; placement solves it, cost prices it, fitness rules on nodes
schedule       order, waves, hops, time; lifecycle: register, create, start
maintenance    nodes to be emptied; folders: where nodes put what nobody names a folder for
conclusion     one verdict and at most one hold each; impossible: why, and the way out
make_plan      all of that, in order
audit          the second judge, with a reading (audit_world) and sums (audit_memory) of its own
decide         plan and audit; summary and sentences tell them; candidates for `explain`
"""
