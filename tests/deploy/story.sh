# What somebody does with the image, in short: help, validate, and a controller that follows a Git repository
# and sees a simulated cluster whole. `set -e` ends it at the first thing that fails.
set -eu
id -un
for place in /opt/ownernode /etc /var/lib /; do
    if touch "$place/written" 2>/dev/null; then
        echo "$place can be written to"
        exit 1
    fi
done
export HOME=/tmp
ownernode --help >/dev/null
examples=$(echo /opt/ownernode/lib/python3*/site-packages/controller/_examples)
ownernode validate "$examples/specs"

# The extra is there: what is missing is a Kubernetes.
ownernode run --kubernetes --state /tmp/none 2>&1 | tail -1

git init --quiet --initial-branch=main /tmp/placements
cp "$examples"/specs/*.yaml /tmp/placements
git -C /tmp/placements add .
git -C /tmp/placements -c user.name=Anna -c user.email=anna@corp.example commit --quiet --message=Placements

ownernode simulate --config "$examples/world.yaml" --dir /tmp/cluster >/tmp/serving.txt 2>/tmp/simulate.txt &
simulator=$!
until [ -s /tmp/serving.txt ]; do
    kill -0 $simulator || { cat /tmp/simulate.txt; exit 1; }
    sleep 0.1
done
ownernode run --config /tmp/cluster/config.yaml --specs git+file:///tmp/placements --listen 127.0.0.1:29464 \
    >/tmp/run.txt 2>&1 &
controller=$!
ready() {
    /opt/ownernode/bin/python -c '
import urllib.request
urllib.request.urlopen("http://127.0.0.1:29464/readyz", timeout=2)' 2>/dev/null
}
until ready; do
    kill -0 $controller || { cat /tmp/run.txt; exit 1; }
    sleep 0.3
done
ownernode status --url http://127.0.0.1:29464
kill -TERM $controller
wait $controller
echo "ended with $?"
kill -TERM $simulator
wait $simulator
