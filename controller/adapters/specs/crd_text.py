"""The CRDs as the YAML files that `kubectl apply --server-side` takes; kept in crds/."""

import yaml

from controller.model.crd import crds

_HEADER = "# Generated from controller/model/spec by `ownernode crd`; edit the models, not this.\n"


def crd_files() -> dict[str, str]:
    """File name -> text, for each kind."""
    return {
        name: _HEADER + yaml.dump(crd, Dumper=_Dumper, sort_keys=False, width=100)
        for name, crd in crds().items()
    }


class _Dumper(yaml.SafeDumper):
    """Writes every list and mapping out: shared parts would become anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True
