{{/*
Names are fixed, not made of the release's, so a namespace has one mesh at most. Another namespace may have another, which
stands by: what is outside of the release's namespace has that in its name.
*/}}
{{- define "tulle.scoped" -}}
{{ .name }}:{{ .root.Release.Namespace }}
{{- end -}}

{{/* What selects the pods of a component. The controller gives shadow services the same selector for the proxies. */}}
{{- define "tulle.selector" -}}
app.kubernetes.io/name: tulle
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* The labels of every object and pod. The mesh passes over what has part-of: tulle. */}}
{{- define "tulle.labels" -}}
{{ include "tulle.selector" . }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: tulle
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "tulle.image" -}}
{{- $repository := required "image.repository is not set: say where the image is, such as --set image.repository=registry.example.com/tulle" .Values.image.repository -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- if hasPrefix "sha256:" $tag -}}{{ $repository }}@{{ $tag }}{{- else -}}{{ $repository }}:{{ $tag }}{{- end -}}
{{- end -}}

{{/* Fails where calls under way would be cut off; who sets lame duck and drain by arguments knows better. */}}
{{- define "tulle.checkGracePeriod" -}}
{{- if and (lt (int .Values.proxy.terminationGracePeriodSeconds) 41) (not .Values.proxy.additionalArguments) -}}
{{- fail (printf "proxy.terminationGracePeriodSeconds is %v, and must be above the 40 seconds in which a proxy ends: calls under way would be cut off" .Values.proxy.terminationGracePeriodSeconds) -}}
{{- end -}}
{{- end -}}

{{/* Of what is for Traefik, that which would be missed. */}}
{{- define "tulle.checkOwnProxy" -}}
{{- range $name, $value := .Values.proxy.forwardingTimeouts -}}
{{- if $value -}}
{{- fail (printf "proxy.forwardingTimeouts.%s is for Traefik: with Tulle's own proxy, time-outs are annotations of Services, such as tulle.dev/connect-timeout; or set proxy.engine=traefik" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* YAML 1.1 reads a bare on and off as booleans, so both forms come in. */}}
{{- define "tulle.acl" -}}
{{- get (dict "true" "on" "false" "off") (toString .Values.acl) | default (toString .Values.acl) -}}
{{- end -}}

{{/* "true" or nothing. */}}
{{- define "tulle.openshift" -}}
{{- if eq (toString .Values.openshift) "auto" -}}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}true{{- end -}}
{{- else if eq (toString .Values.openshift) "true" -}}true{{- end -}}
{{- end -}}

{{/* "true" where Traefiks are the proxies, or nothing. */}}
{{- define "tulle.traefik" -}}
{{- if eq .Values.proxy.engine "traefik" -}}true{{- end -}}
{{- end -}}

{{/* forward, rewrite or manual. */}}
{{- define "tulle.dnsMode" -}}
{{- if ne .Values.dns.mode "auto" -}}{{ .Values.dns.mode }}
{{- else if include "tulle.traefik" . -}}rewrite
{{- else -}}forward
{{- end -}}
{{- end -}}

{{/* Whether the chart gives rights on the cluster's DNS: "true" or nothing. */}}
{{- define "tulle.dnsRights" -}}
{{- if and .Values.rbac.create .Values.rbac.dns (ne .Values.dns.mode "manual") -}}true{{- end -}}
{{- end -}}

{{- define "tulle.tlsSecret" -}}
{{- .Values.tls.existingSecret | default "tulle-controller-tls" -}}
{{- end -}}

{{/*
tls.crt, tls.key and ca.crt as the data of a Secret: those that the cluster has, else new ones. Made once a rendering;
the values are what templates share. The CA's key is kept nowhere: a new certificate comes with a new CA.
*/}}
{{- define "tulle.tlsData" -}}
{{- if not (hasKey .Values.tls "made") -}}
{{- $data := dict -}}
{{- with lookup "v1" "Secret" .Release.Namespace "tulle-controller-tls" -}}
{{- if and (hasKey (.data | default dict) "tls.crt") (hasKey .data "tls.key") (hasKey .data "ca.crt") -}}
{{- $data = pick .data "tls.crt" "tls.key" "ca.crt" -}}
{{- end -}}
{{- end -}}
{{- if not $data -}}
{{- $host := printf "tulle-controller.%s.svc" .Release.Namespace -}}
{{- $names := list $host (printf "%s.%s" $host (.Values.clusterDomain | default "cluster.local")) (printf "tulle-controller.%s" .Release.Namespace) "tulle-controller" -}}
{{- $ca := genCA "tulle-ca" 3650 -}}
{{- $cert := genSignedCert "tulle-controller" nil $names 3650 $ca -}}
{{- $data = dict "tls.crt" ($cert.Cert | b64enc) "tls.key" ($cert.Key | b64enc) "ca.crt" ($ca.Cert | b64enc) -}}
{{- end -}}
{{- $_ := set .Values.tls "made" $data -}}
{{- end -}}
{{- toYaml .Values.tls.made -}}
{{- end -}}

{{/* Of a pod: who it runs as. OpenShift gives each namespace users of its own and refuses others. */}}
{{- define "tulle.podSecurity" -}}
runAsNonRoot: true
{{- if not (include "tulle.openshift" .) }}
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "tulle.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Environment that every process reads as its own options: TULLE_NAMESPACE is --namespace. */}}
{{- define "tulle.env" -}}
- name: TULLE_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: TULLE_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: TULLE_NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- end -}}

{{/*
What cleanup and check must know as the controller does, as environment: a variable is passed over by a command that has
no such option, where a flag is refused.
*/}}
{{- define "tulle.meshEnv" -}}
- name: TULLE_DNS_MODE
  value: {{ include "tulle.dnsMode" . }}
- name: TULLE_MESH_DOMAINS
  value: {{ join "," .Values.meshDomains | quote }}
{{- with .Values.clusterDomain }}
- name: TULLE_CLUSTER_DOMAIN
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Takes root and component: "controller" or "proxy". */}}
{{- define "tulle.logArguments" -}}
{{- $own := get .root.Values .component -}}
- --log-level={{ $own.logLevel | default .root.Values.logLevel }}
- --log-format={{ $own.logFormat | default .root.Values.logFormat }}
{{- end -}}

{{/* Nothing where there is no tracing. */}}
{{- define "tulle.tracingEndpoint" -}}
{{- if .Values.tracing.endpoint -}}{{ .Values.tracing.endpoint }}
{{- else if .Values.tracing.jaeger.enabled -}}http://tulle-jaeger.{{ .Release.Namespace }}.svc:4317
{{- end -}}
{{- end -}}

{{- define "tulle.tracingArguments" -}}
{{- with include "tulle.tracingEndpoint" . -}}
- {{ printf "--tracing-endpoint=%s" . | quote }}
{{- end }}
{{- if include "tulle.tracingEndpoint" . }}
{{- with .Values.tracing.protocol }}
- --tracing-protocol={{ . }}
{{- end }}
- --tracing-sampling={{ .Values.tracing.sampling }}
- --tracing-rate={{ .Values.tracing.rate }}
- --tracing-propagators={{ join "," .Values.tracing.propagators }}
- {{ printf "--tracing-service-name=%s" .Values.tracing.serviceName | quote }}
{{- if and .Values.tracing.headers (not .Values.tracing.headersSecret) }}
{{- $pairs := list -}}
{{- range $name, $value := .Values.tracing.headers -}}{{- $pairs = append $pairs (printf "%s=%s" $name $value) -}}{{- end }}
- {{ printf "--tracing-headers=%s" (join "," $pairs) | quote }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Of the values of a component, what a pod has by the same name. Nothing where nothing is set. */}}
{{- define "tulle.scheduling" -}}
{{- $set := dict -}}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "priorityClassName" -}}
{{- with get $ $field -}}{{- $_ := set $set $field . -}}{{- end -}}
{{- end -}}
{{- with $set -}}{{- toYaml . -}}{{- end -}}
{{- end -}}

{{- define "tulle.pullSecrets" -}}
{{- with .Values.imagePullSecrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Whether objects of a kind of the Prometheus operator are made: "true" or nothing. Of root, kind, enabled. */}}
{{- define "tulle.operatorKind" -}}
{{- if eq (toString .enabled) "auto" -}}
{{- if .root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind) -}}true{{- end -}}
{{- else if .enabled -}}true{{- end -}}
{{- end -}}

{{- define "tulle.prometheusRule" -}}
{{- include "tulle.operatorKind" (dict "root" . "kind" "PrometheusRule" "enabled" .Values.metrics.prometheusRule.enabled) -}}
{{- end -}}

{{- define "tulle.podMonitor" -}}
{{- include "tulle.operatorKind" (dict "root" . "kind" "PodMonitor" "enabled" .Values.metrics.podMonitor.enabled) -}}
{{- end -}}

{{/* The alert rules, as a file of rules has them. */}}
{{- define "tulle.alerts" -}}
{{- .Files.Get "files/alerts.yaml" | replace "docs/runbooks/" .Values.metrics.prometheusRule.runbooks -}}
{{- end -}}

{{/* ConfigMaps in kube-system that can hold the mesh's block: CoreDNS, AKS and k3s, KubeDNS, RKE2. */}}
{{- define "tulle.dnsConfigMaps" -}}
[coredns, coredns-custom, kube-dns, rke2-coredns-rke2-coredns]
{{- end -}}

{{/* What cleanup needs in kube-system, and the controller too: see the block, change it, have it loaded. */}}
{{- define "tulle.dnsRules" -}}
# Deployments and DaemonSets are listed to find which DNS there is; their status tells whether the new block works.
- apiGroups: [apps]
  resources: [deployments, daemonsets]
  verbs: [get, list]
{{- if not (include "tulle.openshift" .) }}
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: {{ include "tulle.dnsConfigMaps" . }}
  verbs: [get, patch]
# Only these two are ever made by the mesh, and so only these are taken away.
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [coredns-custom, kube-dns]
  verbs: [delete]
# Restarts, by an annotation of the pod template.
- apiGroups: [apps]
  resources: [deployments, daemonsets]
  resourceNames: [coredns, kube-dns, rke2-coredns-rke2-coredns]
  verbs: [patch]
{{- end }}
{{- end -}}

{{/* OpenShift's DNS operator has the servers of other zones in one object of the cluster. */}}
{{- define "tulle.openshiftRules" -}}
- apiGroups: [operator.openshift.io]
  resources: [dnses]
  resourceNames: [default]
  verbs: [get, patch]
{{- end -}}
