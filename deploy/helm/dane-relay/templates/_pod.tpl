{{/* The pod: the same for both kinds of spool but for the volume. */}}
{{- define "dane-relay.pod" -}}
metadata:
  labels: {{- include "dane-relay.labels" . | nindent 4 }}
  annotations:
    # A changed configuration rolls the pods.
    checksum/configuration: {{ include "dane-relay.configuration" . | sha256sum }}
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
      # Opening a large spool may take its time; until it is open nothing is asked of the relay.
      startupProbe: {httpGet: {path: /livez, port: admin}, periodSeconds: 2, failureThreshold: 60}
      livenessProbe: {httpGet: {path: /livez, port: admin}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}
      # Ready while mail can be taken and kept. Broken DNSSEC degrades only: mail waits in the queue for it.
      readinessProbe: {httpGet: {path: /readyz, port: admin}, periodSeconds: 5, timeoutSeconds: 6, failureThreshold: 3}
      lifecycle:
        preStop: {sleep: {seconds: {{ .Values.preStopSeconds }}}}
      resources: {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - {name: configuration, mountPath: /etc/dane-relay/relay.yaml, subPath: relay.yaml, readOnly: true}
        - {name: spool, mountPath: /var/spool/dane-relay}
        {{- if .Values.submission.tls.secretName }}
        - {name: tls, mountPath: /etc/dane-relay/tls, readOnly: true}
        {{- end }}
        {{- if .Values.submission.usersSecret.name }}
        - {name: users, mountPath: /etc/dane-relay/users, readOnly: true}
        {{- end }}
        {{- if .Values.admin.tokenSecret.name }}
        - {name: admin-token, mountPath: /etc/dane-relay/admin, readOnly: true}
        {{- end }}
  volumes:
    - name: configuration
      configMap: {name: {{ include "dane-relay.name" . }}}
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
{{- if ne .Values.spool.kind "embedded" }}
- name: DANE_RELAY_SPOOL
  valueFrom: {secretKeyRef: {name: {{ required "spool.postgres.secretName is needed: a secret with the database's URL" .Values.spool.postgres.secretName }}, key: {{ .Values.spool.postgres.secretKey }}}}
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "dane-relay.ports" -}}
- {name: submission, containerPort: {{ .Values.submission.port }}}
{{- if and .Values.submission.tls.secretName .Values.submission.tls.implicitPort }}
- {name: submissions, containerPort: 4465}
{{- end }}
- {name: admin, containerPort: {{ .Values.admin.port }}}
{{- end }}
