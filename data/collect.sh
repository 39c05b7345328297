#!/usr/bin/env bash
# Gathers what a diagnosis of the namespace @NAMESPACE@ needs, and changes nothing: every command reads.
# Printed by `postmesh collect`, to be looked through and then run by somebody who may read these things:
#
#   bash collect.sh              # fills a folder incident-<time>, a few minutes
#   postmesh incident-<time>     # the verdict
#
# Logs, configuration and captures hold addresses, paths and user agents; configuration dumps name certificates (Envoy leaves private keys
# out of them). What fails here is noted in the folder and nothing stops: a part is better than none.
set -u -o pipefail

namespace=@NAMESPACE@
istio_namespace=@ISTIO_NAMESPACE@
since=@SINCE@
pods=(@PODS@)

out=incident-$(date -u +%Y%m%dT%H%M%SZ)
mkdir -p "$out" && cd "$out" || exit 1

# save FILE COMMAND...: the command's output, if it has any; what went wrong beside it.
save() {
    local file=$1
    shift
    mkdir -p "$(dirname "$file")"
    if ! "$@" >"$file" 2>"$file.stderr"; then
        printf '%s: %s\n' "$file" "$*" >>not-collected.txt
    fi
    [ -s "$file" ] || rm -f "$file"
    [ -s "$file.stderr" ] || rm -f "$file.stderr"
}

# 1. Control plane health
save istio/proxy-status.txt istioctl proxy-status -i "$istio_namespace"
save istio/pods.txt kubectl get pods -n "$istio_namespace" -o wide
save istio/top-pods.txt kubectl top pods -n "$istio_namespace" --containers
for pod in $(kubectl get pods -n "$istio_namespace" -l app=istiod -o name 2>/dev/null); do
    save "istio/$istio_namespace/${pod#pod/}/discovery.log" kubectl logs -n "$istio_namespace" "$pod" --since="$since" --timestamps
    save "istio/$istio_namespace/${pod#pod/}/discovery.previous.log" kubectl logs -n "$istio_namespace" "$pod" --previous --tail=5000
done

# 2. Configuration
save config/analyze.txt istioctl analyze -n "$namespace"
save config/istio-objects.yaml kubectl get virtualservices,destinationrules,gateways,serviceentries,sidecars,peerauthentications,authorizationpolicies,requestauthentications,envoyfilters,telemetries -n "$namespace" -o yaml
save config/istio-objects-of-the-mesh.yaml kubectl get peerauthentications,authorizationpolicies,destinationrules,envoyfilters,sidecars,telemetries -n "$istio_namespace" -o yaml
save config/mesh.yaml kubectl get configmap istio -n "$istio_namespace" -o yaml

# 3. Traffic path
save cluster/services.txt kubectl get services -n "$namespace" -o wide
save cluster/endpointslices.yaml kubectl get endpointslices -n "$namespace" -o yaml
save cluster/networkpolicies.yaml kubectl get networkpolicies -n "$namespace" -o yaml
save cluster/pods.txt kubectl get pods -n "$namespace" -o wide
save cluster/pods.yaml kubectl get pods -n "$namespace" -o yaml
save cluster/events.txt kubectl get events -n "$namespace" -o wide --sort-by=.metadata.creationTimestamp
save cluster/top-pods.txt kubectl top pods -n "$namespace" --containers
# Of an ambient mesh.
save cluster/ztunnel-services.txt istioctl ztunnel-config services
save cluster/ztunnel-workloads.txt istioctl ztunnel-config workloads

# 4. Sidecar logs, and 5. certificates
if [ "${#pods[@]}" -eq 0 ]; then
    # shellcheck disable=SC2207  # names of pods hold no blanks
    pods=($(kubectl get pods -n "$namespace" -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' 2>/dev/null))
fi
for pod in "${pods[@]}"; do
    folder="proxies/$namespace/$pod"
    save "$folder/istio-proxy.log" kubectl logs -n "$namespace" "$pod" -c istio-proxy --since="$since"
    save "$folder/istio-proxy.previous.log" kubectl logs -n "$namespace" "$pod" -c istio-proxy --previous --tail=20000
    save "$folder/describe.txt" kubectl describe pod -n "$namespace" "$pod"
    save "$folder/clusters.txt" istioctl proxy-config cluster "$pod.$namespace"
    save "$folder/endpoints.txt" istioctl proxy-config endpoint "$pod.$namespace"
    save "$folder/routes.json" istioctl proxy-config route "$pod.$namespace" -o json
    save "$folder/listeners.txt" istioctl proxy-config listener "$pod.$namespace"
    save "$folder/secret.txt" istioctl proxy-config secret "$pod.$namespace"
    save "$folder/server_info" kubectl exec -n "$namespace" "$pod" -c istio-proxy -- pilot-agent request GET server_info
    save "$folder/limits.txt" kubectl exec -n "$namespace" "$pod" -c istio-proxy -- sh -c 'grep "open files" /proc/[0-9]*/limits'
    # shellcheck disable=SC2016  # the shell in the pod fills these in
    save "$folder/descriptors.txt" kubectl exec -n "$namespace" "$pod" -c istio-proxy -- sh -c 'for p in /proc/[0-9]*; do echo "$(ls $p/fd | wc -l) $(tr "\0" " " <$p/cmdline)"; done'
done

# Packets are the other half, and only somebody who may debug pods can take them. While the fault lasts, in the pods at both ends of a failing
# call, for both interfaces (eth0 shows what pods say to each other, lo what a sidecar and its application say in clear):
#
#   kubectl debug -n @NAMESPACE@ <pod> -it --image=nicolaka/netshoot --profile=netadmin --target=istio-proxy -- \
#       tcpdump -i any -s 256 -G 60 -W 5 -w '/tmp/<pod>.any.%s.pcap'
#
# -s 256 keeps headers and little of what was said; leave it out where names and codes in clear matter more than privacy. Then
# `kubectl cp` the files into this folder. Logs of the other side and packets of both are what settles most.

echo "collected in $out; now: postmesh $out"
[ ! -s not-collected.txt ] || { echo "not collected:"; cat not-collected.txt; }
