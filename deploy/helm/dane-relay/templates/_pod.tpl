{{/* The pod: the same for both kinds of spool but for the volume. */}}
{{- define "dane-relay.pod" -}}
metadata:
  labels: {{- include "dane-relay.labels" . | nindent 4 }}
  annotations:
    # A changed configuration rolls the pods.
    checksum/configuration: {{ include "dane-relay.configuration" . | sha256sum }}
    {{- if and .Values.scrapeAnnotations (not .Values.serviceMonitor.enabled) }}
    prometheus.io/scrape: "true"
    prometheus.io/port: {{ .Values.admin.port | quote }}
    prometheus.io/path: /metrics
    {{- end }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
    runAsGroup: 1000
    fsGroup: 1000
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
  {{- if .Values.topologySpreadConstraints }}
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector: {matchLabels: {{ include "dane-relay.selector" . | fromYaml | toJson }}}
  {{- end }}
  containers:
    - name: dane-relay
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: ["serve", "--config", "/etc/dane-relay/relay.yaml"]
      env: {{- include "dane-relay.environment" . | nindent 8 }}
      ports: {{- include "dane-relay.ports" . | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      # Opening a large spool may take its time, and more when a new release changes its tables: ten minutes, in which nothing else is asked of the relay.
      startupProbe: {httpGet: {path: /livez, port: admin}, periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 300}
      livenessProbe: {httpGet: {path: /livez, port: admin}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}
      # Ready while mail can be taken and kept. Broken DNSSEC degrades only: mail waits in the queue for it.
      readinessProbe: {httpGet: {path: /readyz, port: admin}, periodSeconds: 5, timeoutSeconds: 6, failureThreshold: 3}
      lifecycle:
        preStop: {sleep: {seconds: {{ .Values.preStopSeconds }}}}
      resources: {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - {name: configuration, mountPath: /etc/dane-relay/relay.yaml, subPath: relay.yaml, readOnly: true}
        - {name: spool, mountPath: /var/spool/dane-relay}
        # For what SQLite sorts, and for `explain` in the container: the root is read-only.
        - {name: temporary, mountPath: /tmp}
        {{- if .Values.submission.tls.secretName }}
        - {name: tls, mountPath: /etc/dane-relay/tls, readOnly: true}
        {{- end }}
        {{- if .Values.submission.usersSecret.name }}
        - {name: users, mountPath: /etc/dane-relay/users, readOnly: true}
        {{- end }}
        {{- if .Values.admin.tokenSecret.name }}
        - {name: admin-token, mountPath: /etc/dane-relay/admin, readOnly: true}
        {{- end }}
        {{- if include "dane-relay.files" . | fromYamlArray }}
        - {name: files, mountPath: /etc/dane-relay/files, readOnly: true}
        {{- end }}
  volumes:
    - name: configuration
      configMap: {name: {{ include "dane-relay.name" . }}}
    - name: temporary
      emptyDir: {}
    {{- if include "dane-relay.files" . | fromYamlArray }}
    - name: files
      projected:
        defaultMode: 0440
        sources: {{- include "dane-relay.files" . | nindent 10 }}
    {{- end }}
    {{- with .Values.submission.tls.secretName }}
    - name: tls
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- with .Values.submission.usersSecret }}{{ if .name }}
    - name: users
      secret: {secretName: {{ .name }}, defaultMode: 0440, items: [{key: {{ .key }}, path: users}]}
    {{- end }}{{ end }}
    {{- with .Values.admin.tokenSecret }}{{ if .name }}
    - name: admin-token
      secret: {secretName: {{ .name }}, defaultMode: 0440, items: [{key: {{ .key }}, path: token}]}
    {{- end }}{{ end }}
    {{- if ne .Values.spool.kind "embedded" }}
    # Only what can be learnt again: trust anchor state, policies, counts of reports. The queue is in PostgreSQL.
    - name: spool
      emptyDir: {}
    {{- end }}
{{- end }}

{{- define "dane-relay.environment" -}}
- {name: NODE_ENV, value: production}
# As in relay.yaml: the image has addresses of its own in its environment, which goes before the file.
- {name: DANE_RELAY_SUBMISSION_LISTEN, value: "{{ .Values.bindAddress }}:2525"}
- {name: DANE_RELAY_ADMIN_LISTEN, value: "{{ .Values.bindAddress }}:{{ .Values.admin.port }}"}
{{- if eq .Values.spool.kind "embedded" }}
- {name: DANE_RELAY_SPOOL, value: "file:/var/spool/dane-relay"}
{{- else }}
- name: DANE_RELAY_SPOOL
  valueFrom: {secretKeyRef: {name: {{ required "spool.postgres.secretName is needed: a secret with the database's URL" .Values.spool.postgres.secretName }}, key: {{ .Values.spool.postgres.secretKey }}}}
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "dane-relay.ports" -}}
- {name: submission, containerPort: 2525}
{{- if and .Values.submission.tls.secretName .Values.submission.tls.implicitPort }}
- {name: submissions, containerPort: 4465}
{{- end }}
- {name: admin, containerPort: {{ .Values.admin.port }}}
{{- end }}
