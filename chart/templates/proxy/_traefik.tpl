{{/* Traefik's flags for the access log, of the values that it has too. */}}
{{- define "tulle.traefikAccessLog" -}}
{{- if .enabled -}}
{{- if or .fields .headers (ne (float64 .sampling) 1.0) -}}
{{- fail "proxy.accessLog.fields, headers and sampling are for Tulle's own proxy: with proxy.engine=traefik, use Traefik's flags in proxy.additionalArguments" -}}
{{- end -}}
- --accesslog=true
- --accesslog.format={{ .format }}
{{- with .filters.status }}
{{- /* Traefik has no classes. */}}
- --accesslog.filters.statuscodes={{ regexReplaceAll "([1-5])xx" (join "," .) "${1}00-${1}99" }}
{{- end }}
{{- with .filters.minDuration }}
- --accesslog.filters.minduration={{ . }}
{{- end }}
{{- if .filters.retries }}
- --accesslog.filters.retryattempts=true
{{- end }}
{{- end -}}
{{- end -}}

{{/* Traefik's flags for tracing, of the values that it has too. It speaks OTLP alone. */}}
{{- define "tulle.traefikTracing" -}}
{{- with include "tulle.tracingEndpoint" . -}}
{{- $values := $.Values.tracing -}}
{{- $port := regexFind "[0-9]*$" (trimSuffix "/" .) -}}
{{- $protocol := $values.protocol | default (get (dict "4317" "otlp-grpc" "9411" "zipkin") $port) | default "otlp-http" -}}
{{- if or (eq $protocol "zipkin") $values.headersSecret -}}
{{- fail "Traefik sends its spans by OTLP, and reads no Secret for it: with proxy.engine=traefik, tracing.protocol is otlp-grpc or otlp-http, and tracing.headersSecret is empty" -}}
{{- end -}}
- --tracing.servicename={{ $values.serviceName }}
- --tracing.samplerate={{ $values.sampling }}
{{- if eq $protocol "otlp-grpc" }}
- --tracing.otlp.grpc.endpoint={{ . | trimPrefix "http://" | trimPrefix "https://" | trimSuffix "/" }}
- --tracing.otlp.grpc.insecure={{ hasPrefix "http://" . }}
{{- else }}
- --tracing.otlp.http.endpoint={{ trimSuffix "/" . }}/v1/traces
{{- end }}
{{- range $name, $value := $values.headers }}
- {{ printf "--tracing.otlp.%s.headers.%s=%s" (trimPrefix "otlp-" $protocol) $name $value | quote }}
{{- end }}
{{- end -}}
{{- end -}}
