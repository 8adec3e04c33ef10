{{- define "consul-sync.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "consul-sync.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "consul-sync.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "consul-sync.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "consul-sync.account" -}}
{{- default (include "consul-sync.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "consul-sync.selector" -}}
app.kubernetes.io/name: {{ include "consul-sync.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "consul-sync.labels" -}}
{{ include "consul-sync.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Object names and places that every object has. */}}
{{- define "consul-sync.metadata" -}}
name: {{ include "consul-sync.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "consul-sync.labels" . | nindent 2 }}
{{- end -}}

{{/* The settings as flags, as JSON: an empty text leaves the program's default. */}}
{{- define "consul-sync.settings" -}}
{{- $v := .Values -}}
{{- $consulNamespaces := and .Values.global .Values.global.enableConsulNamespaces -}}
{{- $nodePorts := dict "ExternalOnly" "external-only" "InternalOnly" "internal-only" "ExternalFirst" "external-first" "Off" "off" -}}
{{- $set := dict
  "to-consul" $v.toConsul
  "to-k8s" $v.toK8S
  "listen" (printf ":%v" (include "consul-sync.port" .))
  "log-level" $v.logLevel
  "log-format" (ternary "json" "text" $v.logJson)
  "owner" $v.owner
  "consul-addr" (join "," $v.consul.addresses)
  "consul-datacenter" $v.consul.datacenter
  "consul-partition" $v.consul.partition
  "leader-election" $v.leaderElection.kind
-}}
{{- if ne $v.leaderElection.kind "none" -}}
{{- $_ := set $set "leader-election-ttl" $v.leaderElection.ttl -}}
{{- end -}}
{{- if eq $v.leaderElection.kind "lease" -}}
{{- $_ := set $set "leader-election-lease" (include "consul-sync.fullname" .) -}}
{{- $_ := set $set "leader-election-namespace" .Release.Namespace -}}
{{- end -}}
{{- if $v.consul.tls.enabled -}}
{{- $_ := set $set "consul-tls" true -}}
{{- $_ := set $set "consul-tls-server-name" $v.consul.tls.serverName -}}
{{- end -}}
{{- if $v.consul.tls.caSecret -}}
{{- $_ := set $set "consul-ca-file" "/consul/ca/ca.crt" -}}
{{- end -}}
{{- if $v.consul.tls.clientSecret -}}
{{- $_ := set $set "consul-client-cert" "/consul/client/tls.crt" -}}
{{- $_ := set $set "consul-client-key" "/consul/client/tls.key" -}}
{{- end -}}
{{- if $v.aclSyncToken.secretName -}}
{{- $_ := set $set "consul-token-file" "/consul/token/token" -}}
{{- end -}}
{{- if $v.consul.login.method -}}
{{- $_ := set $set "consul-login-method" $v.consul.login.method -}}
{{- $_ := set $set "consul-login-datacenter" $v.consul.login.datacenter -}}
{{- $meta := list -}}
{{- range $key, $value := $v.consul.login.meta -}}
{{- $meta = append $meta (printf "%s=%s" $key $value) -}}
{{- end -}}
{{- $_ := set $set "consul-login-meta" (join "," $meta) -}}
{{- end -}}
{{- if $v.toConsul -}}
{{- $_ := set $set "default-sync" $v.default -}}
{{- $_ := set $set "name-prefix" $v.consulPrefix -}}
{{- $_ := set $set "tag" $v.k8sTag -}}
{{- $_ := set $set "consul-node" $v.consulNodeName -}}
{{- $_ := set $set "allow-namespace" (join "," $v.k8sAllowNamespaces) -}}
{{- if $v.k8sSourceNamespace -}}
{{- $_ := set $set "allow-namespace" $v.k8sSourceNamespace -}}
{{- end -}}
{{- $_ := set $set "deny-namespace" (join "," $v.k8sDenyNamespaces) -}}
{{- $_ := set $set "namespace-suffix" $v.addK8SNamespaceSuffix -}}
{{- $_ := set $set "node-ports" (get $nodePorts $v.nodePortSyncType) -}}
{{- $_ := set $set "cluster-ip" $v.syncClusterIPServices -}}
{{- $_ := set $set "load-balancer-endpoints" $v.syncLoadBalancerEndpoints -}}
{{- $_ := set $set "ingress" $v.ingress.enabled -}}
{{- $_ := set $set "ingress-load-balancer-ips" $v.ingress.loadBalancerIPs -}}
{{- if and $consulNamespaces $v.consulNamespaces.mirroringK8S -}}
{{- $_ := set $set "consul-mirror-namespaces" true -}}
{{- $_ := set $set "consul-mirror-prefix" $v.consulNamespaces.mirroringK8SPrefix -}}
{{- else if $consulNamespaces -}}
{{- $_ := set $set "consul-namespace" $v.consulNamespaces.consulDestinationNamespace -}}
{{- end -}}
{{- if $consulNamespaces -}}
{{- $_ := set $set "consul-create-namespaces" $v.consulNamespaces.create -}}
{{- $_ := set $set "consul-cross-namespace-policy" $v.consulNamespaces.crossNamespacePolicy -}}
{{- end -}}
{{- end -}}
{{- if $v.toK8S -}}
{{- $_ := set $set "k8s-mode" $v.import.mode -}}
{{- $_ := set $set "k8s-write-namespace" $v.import.namespace -}}
{{- $_ := set $set "k8s-service-prefix" $v.k8sPrefix -}}
{{- $_ := set $set "consul-domain" $v.import.domain -}}
{{- end -}}
{{- range $name, $value := $v.settings -}}
{{- $_ := set $set $name (kindIs "slice" $value | ternary (join "," $value) $value) -}}
{{- end -}}
{{- /* Null and an empty text are the program's default. */ -}}
{{- range $name, $value := deepCopy $set -}}
{{- if or (kindIs "invalid" $value) (eq (toString $value) "") -}}
{{- $_ := unset $set $name -}}
{{- end -}}
{{- end -}}
{{- toJson $set -}}
{{- end -}}

{{- define "consul-sync.port" -}}
{{- .Values.metrics.port | default 8080 -}}
{{- end -}}

{{- define "consul-sync.image" -}}
{{- if kindIs "string" .Values.image -}}
{{- .Values.image -}}
{{- else -}}
{{- $image := .Values.image | default dict -}}
{{- printf "%s:%s" ($image.repository | default "consul-sync") ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Annotations and the like, as YAML or, as in the incumbent, as a text of YAML. */}}
{{- define "consul-sync.yaml" -}}
{{- if kindIs "string" . -}}
{{- . -}}
{{- else -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{- define "consul-sync.check" -}}
{{- if .Values.cleanupNodeOnRemoval -}}
{{- fail "cleanupNodeOnRemoval: not supported; run consul-sync purge before the release is removed" -}}
{{- end -}}
{{- if not (has (.Values.metrics.path | default "/metrics") (list "/metrics")) -}}
{{- fail "metrics.path: metrics are served at /metrics alone" -}}
{{- end -}}
{{- if not (or .Values.toConsul .Values.toK8S) -}}
{{- fail "toConsul and toK8S are both false: nothing would be synchronised; set enabled to false to install nothing" -}}
{{- end -}}
{{- if and .Values.consul.login.method .Values.aclSyncToken.secretName -}}
{{- fail "consul.login.method and aclSyncToken.secretName: a token comes from one of them" -}}
{{- end -}}
{{- if and (gt (int .Values.replicas) 1) (eq .Values.leaderElection.kind "none") -}}
{{- fail "replicas is more than 1 and leaderElection.kind is none: all of them would write; set leaderElection.kind to lease" -}}
{{- end -}}
{{- end -}}
