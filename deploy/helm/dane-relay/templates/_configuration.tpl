{{/* The relay's own configuration: `config` of the values, with what the chart knows laid over it. Refuses what could not work. */}}
{{- define "dane-relay.configuration" -}}
{{- $v := .Values -}}
{{- if not $v.hostname }}{{ fail "hostname is needed: the public name that the relay says in EHLO" }}{{ end -}}
{{- if and (not $v.submission.trustedNetworks) (not $v.submission.usersSecret.name) -}}
{{- fail "nobody could hand in mail: set submission.trustedNetworks (the pods' network) or submission.usersSecret.name" -}}
{{- end -}}
{{- if and $v.submission.usersSecret.name (not $v.submission.tls.secretName) -}}
{{- fail "submission.usersSecret needs submission.tls.secretName: passwords are taken inside TLS only" -}}
{{- end -}}
{{- $port := int $v.submission.port -}}
{{- $submission := dict "listen" (list (printf "0.0.0.0:%d" $port)) "trustedNetworks" $v.submission.trustedNetworks -}}
{{- with $v.submission.usersSecret.name }}{{ $_ := set $submission "usersFile" "/etc/dane-relay/users/users" }}{{ end -}}
{{- if $v.submission.tls.secretName -}}
{{- $tls := dict "certificateFile" "/etc/dane-relay/tls/tls.crt" "keyFile" "/etc/dane-relay/tls/tls.key" -}}
{{- if $v.submission.tls.implicitPort }}{{ $_ := set $tls "listen" (list "0.0.0.0:4465") }}{{ end -}}
{{- $_ := set $submission "tls" $tls -}}
{{- end -}}
{{- $admin := dict "listen" (printf "0.0.0.0:%d" (int $v.admin.port)) -}}
{{- if $v.admin.tokenSecret.name }}{{ $_ := set $admin "tokenFile" "/etc/dane-relay/admin/token" }}{{ end -}}
{{- $own := dict "hostname" $v.hostname "submission" $submission "admin" $admin -}}
{{- if eq $v.spool.kind "embedded" }}{{ $_ := set $own "spool" "file:/var/spool/dane-relay" }}{{ else }}{{ $_ := set $own "stateDirectory" "/var/spool/dane-relay" }}{{ end -}}
{{- mustMergeOverwrite (deepCopy $v.config) $own | toYaml -}}
{{- end }}
