{{/* The relay's own configuration: `config` of the values, with what the chart knows laid over it. Refuses what could not work. */}}
{{- define "dane-relay.configuration" -}}
{{- $v := .Values -}}
{{- if not $v.hostname }}{{ fail "hostname is needed: the public name that the relay says in EHLO" }}{{ end -}}
{{- $clientCa := or $v.submission.tls.clientCa.secret $v.submission.tls.clientCa.configMap -}}
{{- if and (not $v.submission.trustedNetworks) (not $v.submission.usersSecret.name) (not $clientCa) -}}
{{- fail "nobody could hand in mail: set submission.trustedNetworks (the pods' network), submission.usersSecret.name or submission.tls.clientCa" -}}
{{- end -}}
{{- if and $clientCa (not $v.submission.tls.secretName) -}}
{{- fail "submission.tls.clientCa needs submission.tls.secretName: certificates are shown inside TLS only" -}}
{{- end -}}
{{- if and $v.submission.usersSecret.name (not $v.submission.tls.secretName) -}}
{{- fail "submission.usersSecret needs submission.tls.secretName: passwords are taken inside TLS only" -}}
{{- end -}}
{{- $submission := dict "listen" (list (printf "%s:2525" $v.bindAddress)) "trustedNetworks" $v.submission.trustedNetworks -}}
{{- with $v.submission.usersSecret.name }}{{ $_ := set $submission "usersFile" "/etc/dane-relay/users/users" }}{{ end -}}
{{- if $v.submission.tls.secretName -}}
{{- $tls := dict "certificateFile" "/etc/dane-relay/tls/tls.crt" "keyFile" "/etc/dane-relay/tls/tls.key" -}}
{{- if $v.submission.tls.implicitPort }}{{ $_ := set $tls "listen" (list (printf "%s:4465" $v.bindAddress)) }}{{ end -}}
{{- if $clientCa }}{{ $_ := set $tls "clientCaFile" "/etc/dane-relay/files/client-ca.pem" }}{{ end -}}
{{- $_ := set $submission "tls" $tls -}}
{{- end -}}
{{- $admin := dict "listen" (printf "%s:%d" $v.bindAddress (int $v.admin.port)) -}}
{{- if $v.admin.tokenSecret.name }}{{ $_ := set $admin "tokenFile" "/etc/dane-relay/admin/token" }}{{ end -}}
{{- $own := dict "hostname" $v.hostname "submission" $submission "admin" $admin -}}
{{- if eq $v.spool.kind "embedded" }}{{ $_ := set $own "spool" "file:/var/spool/dane-relay" }}{{ else }}{{ $_ := set $own "stateDirectory" "/var/spool/dane-relay" }}{{ end -}}
{{- if $v.dkim.sign -}}
{{- $sign := list -}}
{{- range $index, $one := $v.dkim.sign -}}
{{- $sign = append $sign (dict "domain" $one.domain "selector" $one.selector "keyFile" (printf "/etc/dane-relay/files/dkim-%d.pem" $index)) -}}
{{- end -}}
{{- $_ := set $own "dkim" (dict "sign" $sign) -}}
{{- end -}}
{{- $all := mustMergeOverwrite (deepCopy $v.config) $own | toYaml -}}
{{- $known := list -}}
{{- range include "dane-relay.files" . | fromYamlArray }}{{ range .secret | default .configMap | dig "items" list }}{{ $known = append $known .path }}{{ end }}{{ end -}}
{{- range regexFindAll "/etc/dane-relay/files/[^\"'\\s,&}]+" $all -1 -}}
{{- if not (has (trimPrefix "/etc/dane-relay/files/" .) $known) }}{{ fail (printf "config names %s, which is none of files" .) }}{{ end -}}
{{- end -}}
{{- $delivery := $v.config.delivery | default dict -}}
{{- if eq ($delivery.drain | default "transactions") "queue" -}}
{{- $needed := add ($delivery.drainSeconds | default 20) $v.preStopSeconds 10 -}}
{{- if gt $needed (int $v.terminationGracePeriodSeconds) }}{{ fail (printf "config.delivery.drainSeconds, preStopSeconds and 10 s for clients are %d s, and terminationGracePeriodSeconds is less" $needed) }}{{ end -}}
{{- end -}}
{{- $all -}}
{{- end }}

{{/* The sources of the projected volume at /etc/dane-relay/files. */}}
{{- define "dane-relay.files" -}}
{{- $sources := list -}}
{{- with .Values.submission.tls.clientCa -}}
{{- if and .secret .configMap }}{{ fail "submission.tls.clientCa is either in a secret or in a configMap" }}{{ end -}}
{{- $items := list (dict "key" .key "path" "client-ca.pem") -}}
{{- if .secret }}{{ $sources = append $sources (dict "secret" (dict "name" .secret "items" $items)) }}{{ end -}}
{{- if .configMap }}{{ $sources = append $sources (dict "configMap" (dict "name" .configMap "items" $items)) }}{{ end -}}
{{- end -}}
{{- range $index, $one := .Values.dkim.sign -}}
{{- $items := list (dict "key" $one.secret.key "path" (printf "dkim-%d.pem" $index)) -}}
{{- $sources = append $sources (dict "secret" (dict "name" $one.secret.name "items" $items)) -}}
{{- end -}}
{{- range .Values.files -}}
{{- $from := .secret | default .configMap -}}
{{- $source := dict "name" $from.name "items" (list (dict "key" $from.key "path" .name)) -}}
{{- $sources = append $sources (ternary (dict "secret" $source) (dict "configMap" $source) (hasKey . "secret")) -}}
{{- end -}}
{{- $sources | toYaml -}}
{{- end }}
