{{/* Who reaches a thing that shows what is in the mesh: the release's namespace and networkPolicy.adminFrom. */}}
{{- define "tulle.monitoringPolicy" -}}
{{- $root := .root -}}
{{- if $root.Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: tulle-{{ .component }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "tulle.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tulle.selector" . | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    - from:
        - podSelector: {}
        {{- with $root.Values.networkPolicy.adminFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - port: {{ .port }}
    {{- range .fromProxies }}
    - from:
        - podSelector:
            matchLabels:
              {{- include "tulle.selector" (dict "root" $root "component" "proxy") | nindent 14 }}
      ports:
        - port: {{ . }}
    {{- end }}
{{- end }}
{{- end -}}
