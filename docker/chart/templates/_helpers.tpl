{{- define "ting.name" -}}
{{ printf "%s" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "ting.selector" -}}
app.kubernetes.io/name: ting
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ting.labels" -}}
{{ include "ting.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
