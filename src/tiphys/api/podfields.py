"""
Which fields do pod templates and canary steps have on the wire, in which order, and when is a field left out?

The hash that names a ReplicaSet is taken over JSON text, so order and omissions are part of the contract (reference
pod-template-json 2, 4 and 5; core/v1 and meta/v1 as of Kubernetes 0.34). A line that begins with a space continues the type above.

`name!` is always written: without a value as what its type has for *nothing* (`=0` and `=null` where that is not the empty text);
`name*` is written where it is present; `name?` where it is present and not empty. `+Type` splices that type's fields in.
`:Type` is a nested object, `[]` a list of them, `{}` a map of them; `:map` is a map of texts, `:qmap` of quantities.
"""

from typing import Final

POD_FIELDS: Final = """
PodTemplateSpec: metadata!:ObjectMeta spec!:PodSpec
ObjectMeta: name? generateName? namespace? selfLink? uid? resourceVersion? generation? creationTimestamp? deletionTimestamp*
    deletionGracePeriodSeconds* labels?:map annotations?:map ownerReferences? finalizers? managedFields?
PodSpec: volumes?:Volume[] initContainers?:Container[] containers!:Container[] ephemeralContainers?:EphemeralContainer[] restartPolicy?
    terminationGracePeriodSeconds* activeDeadlineSeconds* dnsPolicy? nodeSelector?:map serviceAccountName? serviceAccount?
    automountServiceAccountToken* nodeName? hostNetwork? hostPID? hostIPC? shareProcessNamespace* securityContext*:PodSecurityContext
    imagePullSecrets?:LocalObjectReference[] hostname? subdomain? affinity*:Affinity schedulerName? tolerations?:Toleration[]
    hostAliases?:HostAlias[] priorityClassName? priority* dnsConfig*:PodDNSConfig readinessGates?:PodReadinessGate[] runtimeClassName*
    enableServiceLinks* preemptionPolicy* overhead?:qmap topologySpreadConstraints?:TopologySpreadConstraint[] setHostnameAsFQDN*
    os*:PodOS hostUsers* schedulingGates?:PodSchedulingGate[] resourceClaims?:PodResourceClaim[] resources*:ResourceRequirements
    hostnameOverride*
Volume: name! +VolumeSource
Container: name! image? command? args? workingDir? ports?:ContainerPort[] envFrom?:EnvFromSource[] env?:EnvVar[]
    resources!:ResourceRequirements resizePolicy?:ContainerResizePolicy[] restartPolicy* restartPolicyRules?:ContainerRestartRule[]
    volumeMounts?:VolumeMount[] volumeDevices?:VolumeDevice[] livenessProbe*:Probe readinessProbe*:Probe startupProbe*:Probe
    lifecycle*:Lifecycle terminationMessagePath? terminationMessagePolicy? imagePullPolicy? securityContext*:SecurityContext stdin?
    stdinOnce? tty?
EphemeralContainer: +EphemeralContainerCommon targetContainerName?
PodSecurityContext: seLinuxOptions*:SELinuxOptions windowsOptions*:WindowsSecurityContextOptions runAsUser* runAsGroup* runAsNonRoot*
    supplementalGroups? supplementalGroupsPolicy* fsGroup* sysctls?:Sysctl[] fsGroupChangePolicy* seccompProfile*:SeccompProfile
    appArmorProfile*:AppArmorProfile seLinuxChangePolicy*
LocalObjectReference: name?
Affinity: nodeAffinity*:NodeAffinity podAffinity*:PodAffinity podAntiAffinity*:PodAntiAffinity
Toleration: key? operator? value? effect? tolerationSeconds*
HostAlias: ip! hostnames?
PodDNSConfig: nameservers? searches? options?:PodDNSConfigOption[]
PodReadinessGate: conditionType!
TopologySpreadConstraint: maxSkew!=0 topologyKey! whenUnsatisfiable! labelSelector*:LabelSelector minDomains* nodeAffinityPolicy*
    nodeTaintsPolicy* matchLabelKeys?
PodOS: name!
PodSchedulingGate: name!
PodResourceClaim: name! resourceClaimName* resourceClaimTemplateName*
ResourceRequirements: limits?:qmap requests?:qmap claims?:ResourceClaim[]
VolumeSource: hostPath*:HostPathVolumeSource emptyDir*:EmptyDirVolumeSource gcePersistentDisk*:GCEPersistentDiskVolumeSource
    awsElasticBlockStore*:AWSElasticBlockStoreVolumeSource gitRepo*:GitRepoVolumeSource secret*:SecretVolumeSource nfs*:NFSVolumeSource
    iscsi*:ISCSIVolumeSource glusterfs*:GlusterfsVolumeSource persistentVolumeClaim*:PersistentVolumeClaimVolumeSource
    rbd*:RBDVolumeSource flexVolume*:FlexVolumeSource cinder*:CinderVolumeSource cephfs*:CephFSVolumeSource flocker*:FlockerVolumeSource
    downwardAPI*:DownwardAPIVolumeSource fc*:FCVolumeSource azureFile*:AzureFileVolumeSource configMap*:ConfigMapVolumeSource
    vsphereVolume*:VsphereVirtualDiskVolumeSource quobyte*:QuobyteVolumeSource azureDisk*:AzureDiskVolumeSource
    photonPersistentDisk*:PhotonPersistentDiskVolumeSource projected*:ProjectedVolumeSource portworxVolume*:PortworxVolumeSource
    scaleIO*:ScaleIOVolumeSource storageos*:StorageOSVolumeSource csi*:CSIVolumeSource ephemeral*:EphemeralVolumeSource
    image*:ImageVolumeSource
ContainerPort: name? hostPort? containerPort!=0 protocol? hostIP?
EnvFromSource: prefix? configMapRef*:ConfigMapEnvSource secretRef*:SecretEnvSource
EnvVar: name! value? valueFrom*:EnvVarSource
ContainerResizePolicy: resourceName! restartPolicy!
ContainerRestartRule: action? exitCodes*:ContainerRestartRuleOnExitCodes
VolumeMount: name! readOnly? recursiveReadOnly* mountPath! subPath? mountPropagation* subPathExpr?
VolumeDevice: name! devicePath!
Probe: +ProbeHandler initialDelaySeconds? timeoutSeconds? periodSeconds? successThreshold? failureThreshold?
    terminationGracePeriodSeconds*
Lifecycle: postStart*:LifecycleHandler preStop*:LifecycleHandler stopSignal*
SecurityContext: capabilities*:Capabilities privileged* seLinuxOptions*:SELinuxOptions windowsOptions*:WindowsSecurityContextOptions
    runAsUser* runAsGroup* runAsNonRoot* readOnlyRootFilesystem* allowPrivilegeEscalation* procMount* seccompProfile*:SeccompProfile
    appArmorProfile*:AppArmorProfile
EphemeralContainerCommon: name! image? command? args? workingDir? ports?:ContainerPort[] envFrom?:EnvFromSource[] env?:EnvVar[]
    resources!:ResourceRequirements resizePolicy?:ContainerResizePolicy[] restartPolicy* restartPolicyRules?:ContainerRestartRule[]
    volumeMounts?:VolumeMount[] volumeDevices?:VolumeDevice[] livenessProbe*:Probe readinessProbe*:Probe startupProbe*:Probe
    lifecycle*:Lifecycle terminationMessagePath? terminationMessagePolicy? imagePullPolicy? securityContext*:SecurityContext stdin?
    stdinOnce? tty?
SELinuxOptions: user? role? type? level?
WindowsSecurityContextOptions: gmsaCredentialSpecName* gmsaCredentialSpec* runAsUserName* hostProcess*
Sysctl: name! value!
SeccompProfile: type! localhostProfile*
AppArmorProfile: type! localhostProfile*
NodeAffinity: requiredDuringSchedulingIgnoredDuringExecution*:NodeSelector
    preferredDuringSchedulingIgnoredDuringExecution?:PreferredSchedulingTerm[]
PodAffinity: requiredDuringSchedulingIgnoredDuringExecution?:PodAffinityTerm[]
    preferredDuringSchedulingIgnoredDuringExecution?:WeightedPodAffinityTerm[]
PodAntiAffinity: requiredDuringSchedulingIgnoredDuringExecution?:PodAffinityTerm[]
    preferredDuringSchedulingIgnoredDuringExecution?:WeightedPodAffinityTerm[]
PodDNSConfigOption: name? value*
LabelSelector: matchLabels?:map matchExpressions?:LabelSelectorRequirement[]
ResourceClaim: name! request?
HostPathVolumeSource: path! type*
EmptyDirVolumeSource: medium? sizeLimit*:quantity
GCEPersistentDiskVolumeSource: pdName! fsType? partition? readOnly?
AWSElasticBlockStoreVolumeSource: volumeID! fsType? partition? readOnly?
GitRepoVolumeSource: repository! revision? directory?
SecretVolumeSource: secretName? items?:KeyToPath[] defaultMode* optional*
NFSVolumeSource: server! path! readOnly?
ISCSIVolumeSource: targetPortal! iqn! lun!=0 iscsiInterface? fsType? readOnly? portals? chapAuthDiscovery? chapAuthSession?
    secretRef*:LocalObjectReference initiatorName*
GlusterfsVolumeSource: endpoints! path! readOnly?
PersistentVolumeClaimVolumeSource: claimName! readOnly?
RBDVolumeSource: monitors!=null image! fsType? pool? user? keyring? secretRef*:LocalObjectReference readOnly?
FlexVolumeSource: driver! fsType? secretRef*:LocalObjectReference readOnly? options?:map
CinderVolumeSource: volumeID! fsType? readOnly? secretRef*:LocalObjectReference
CephFSVolumeSource: monitors!=null path? user? secretFile? secretRef*:LocalObjectReference readOnly?
FlockerVolumeSource: datasetName? datasetUUID?
DownwardAPIVolumeSource: items?:DownwardAPIVolumeFile[] defaultMode*
FCVolumeSource: targetWWNs? lun* fsType? readOnly? wwids?
AzureFileVolumeSource: secretName! shareName! readOnly?
ConfigMapVolumeSource: +LocalObjectReference items?:KeyToPath[] defaultMode* optional*
VsphereVirtualDiskVolumeSource: volumePath! fsType? storagePolicyName? storagePolicyID?
QuobyteVolumeSource: registry! volume! readOnly? user? group? tenant?
AzureDiskVolumeSource: diskName! diskURI! cachingMode* fsType* readOnly* kind*
PhotonPersistentDiskVolumeSource: pdID! fsType?
ProjectedVolumeSource: sources!:VolumeProjection[] defaultMode*
PortworxVolumeSource: volumeID! fsType? readOnly?
ScaleIOVolumeSource: gateway! system! secretRef!:LocalObjectReference=null sslEnabled? protectionDomain? storagePool? storageMode?
    volumeName? fsType? readOnly?
StorageOSVolumeSource: volumeName? volumeNamespace? fsType? readOnly? secretRef*:LocalObjectReference
CSIVolumeSource: driver! readOnly* fsType* volumeAttributes?:map nodePublishSecretRef*:LocalObjectReference
EphemeralVolumeSource: volumeClaimTemplate*:PersistentVolumeClaimTemplate
ImageVolumeSource: reference? pullPolicy?
ConfigMapEnvSource: +LocalObjectReference optional*
SecretEnvSource: +LocalObjectReference optional*
EnvVarSource: fieldRef*:ObjectFieldSelector resourceFieldRef*:ResourceFieldSelector configMapKeyRef*:ConfigMapKeySelector
    secretKeyRef*:SecretKeySelector fileKeyRef*:FileKeySelector
ContainerRestartRuleOnExitCodes: operator? values?
ProbeHandler: exec*:ExecAction httpGet*:HTTPGetAction tcpSocket*:TCPSocketAction grpc*:GRPCAction
LifecycleHandler: exec*:ExecAction httpGet*:HTTPGetAction tcpSocket*:TCPSocketAction sleep*:SleepAction
Capabilities: add? drop?
NodeSelector: nodeSelectorTerms!:NodeSelectorTerm[]
PreferredSchedulingTerm: weight!=0 preference!:NodeSelectorTerm
PodAffinityTerm: labelSelector*:LabelSelector namespaces? topologyKey! namespaceSelector*:LabelSelector matchLabelKeys? mismatchLabelKeys?
WeightedPodAffinityTerm: weight!=0 podAffinityTerm!:PodAffinityTerm
LabelSelectorRequirement: key! operator! values?
KeyToPath: key! path! mode*
DownwardAPIVolumeFile: path! fieldRef*:ObjectFieldSelector resourceFieldRef*:ResourceFieldSelector mode*
VolumeProjection: secret*:SecretProjection downwardAPI*:DownwardAPIProjection configMap*:ConfigMapProjection
    serviceAccountToken*:ServiceAccountTokenProjection clusterTrustBundle*:ClusterTrustBundleProjection
    podCertificate*:PodCertificateProjection
PersistentVolumeClaimTemplate: metadata!:ObjectMeta spec!:PersistentVolumeClaimSpec
ObjectFieldSelector: apiVersion? fieldPath!
ResourceFieldSelector: containerName? resource! divisor!:quantity
ConfigMapKeySelector: +LocalObjectReference key! optional*
SecretKeySelector: +LocalObjectReference key! optional*
FileKeySelector: volumeName! path! key! optional*
ExecAction: command?
HTTPGetAction: path? port!:intstr host? scheme? httpHeaders?:HTTPHeader[]
TCPSocketAction: port!:intstr host?
GRPCAction: port!=0 service!=null
SleepAction: seconds!=0
NodeSelectorTerm: matchExpressions?:NodeSelectorRequirement[] matchFields?:NodeSelectorRequirement[]
SecretProjection: +LocalObjectReference items?:KeyToPath[] optional*
DownwardAPIProjection: items?:DownwardAPIVolumeFile[]
ConfigMapProjection: +LocalObjectReference items?:KeyToPath[] optional*
ServiceAccountTokenProjection: audience? expirationSeconds* path!
ClusterTrustBundleProjection: name* signerName* labelSelector*:LabelSelector optional* path!
PodCertificateProjection: signerName? keyType? maxExpirationSeconds* credentialBundlePath? keyPath? certificateChainPath?
PersistentVolumeClaimSpec: accessModes? selector*:LabelSelector resources!:VolumeResourceRequirements volumeName? storageClassName*
    volumeMode* dataSource*:TypedLocalObjectReference dataSourceRef*:TypedObjectReference volumeAttributesClassName*
HTTPHeader: name! value!
NodeSelectorRequirement: key! operator! values?
VolumeResourceRequirements: limits?:qmap requests?:qmap
TypedLocalObjectReference: apiGroup!=null kind! name!
TypedObjectReference: apiGroup!=null kind! name! namespace*
"""
"""Types of the pod template, beginning with `PodTemplateSpec`."""

STEP_FIELDS: Final = """
CanaryStep: setWeight* pause*:RolloutPause experiment*:RolloutExperimentStep analysis*:RolloutAnalysis setCanaryScale*:SetCanaryScale
    setHeaderRoute*:SetHeaderRoute setMirrorRoute*:SetMirrorRoute plugin*:PluginStep
RolloutPause: duration*:intstr
RolloutExperimentStep: templates!:RolloutExperimentTemplate[] duration? analyses?:RolloutExperimentStepAnalysisTemplateRef[]
    dryRun?:DryRun[] analysisRunMetadata!:AnalysisRunMetadata scaleDownDelaySeconds*
RolloutAnalysis: templates?:AnalysisTemplateRef[] args?:AnalysisRunArgument[] dryRun?:DryRun[]
    measurementRetention?:MeasurementRetention[] analysisRunMetadata*:AnalysisRunMetadata
SetCanaryScale: weight* replicas* matchTrafficWeight?
SetHeaderRoute: name? match?:HeaderRoutingMatch[]
SetMirrorRoute: name! match?:RouteMatch[] percentage*
PluginStep: name! config?
RolloutExperimentTemplate: name! specRef! replicas* metadata!:PodTemplateMetadata selector*:LabelSelector weight* service*:TemplateService
RolloutExperimentStepAnalysisTemplateRef: name! templateName! clusterScope* args?:AnalysisRunArgument[] requiredForCompletion?
DryRun: metricName!
AnalysisRunMetadata: labels?:map annotations?:map
AnalysisTemplateRef: templateName! clusterScope*
AnalysisRunArgument: name! value? valueFrom*:ArgumentValueFrom
MeasurementRetention: metricName! limit!=0
HeaderRoutingMatch: headerName! headerValue!:StringMatch=null
RouteMatch: method*:StringMatch path*:StringMatch headers?:StringMatch{}
PodTemplateMetadata: labels?:map annotations?:map
TemplateService: name?
ArgumentValueFrom: podTemplateHashValue* fieldRef*:FieldRef
StringMatch: exact? prefix? regex?
FieldRef: fieldPath!
"""
"""Types of the canary steps that the pod template does not have, beginning with `CanaryStep`."""

INTEGER_FIELDS: Final = """
activeDeadlineSeconds containerPort defaultMode deletionGracePeriodSeconds expirationSeconds failureThreshold fsGroup generation hostPort
initialDelaySeconds lun maxExpirationSeconds maxSkew minDomains mode partition periodSeconds port priority runAsGroup runAsUser seconds
successThreshold terminationGracePeriodSeconds timeoutSeconds tolerationSeconds weight
"""
"""Fields of the pod template that are integers, in whatever type they stand."""

LONG_FIELDS: Final = """
activeDeadlineSeconds deletionGracePeriodSeconds expirationSeconds fsGroup generation runAsGroup runAsUser seconds supplementalGroups
terminationGracePeriodSeconds tolerationSeconds
"""
"""Those of them that may have 64 bits; all others have 32."""

FLAG_FIELDS: Final = """
allowPrivilegeEscalation automountServiceAccountToken chapAuthDiscovery chapAuthSession enableServiceLinks hostIPC hostNetwork hostPID
hostProcess hostUsers optional privileged readOnly readOnlyRootFilesystem runAsNonRoot setHostnameAsFQDN shareProcessNamespace sslEnabled
stdin stdinOnce tty
"""
"""Fields of the pod template that are true or false."""

TEXT_LIST_FIELDS: Final = """
accessModes add args command drop finalizers hostnames matchLabelKeys mismatchLabelKeys monitors nameservers namespaces portals searches
targetWWNs values wwids
"""
"""Fields of the pod template that are lists of texts."""
