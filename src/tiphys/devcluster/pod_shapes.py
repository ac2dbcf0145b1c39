"""Which fields does a pod have, and how do its lists merge?"""

from __future__ import annotations

from tiphys.devcluster.shapes import ANY, OBJECT, TEXT_LIST, TEXT_MAP, Shape, always, atomic, keyed, listed, struct

METADATA_FIELDS = (
    "name:s generateName:s namespace:s selfLink uid resourceVersion generation creationTimestamp deletionTimestamp "
    "deletionGracePeriodSeconds managedFields"
)
METADATA = Shape(
    fields={
        "finalizers": Shape(as_set=True, patch_merges=True),
        "ownerReferences": Shape(keys=("uid",), patch_key="uid"),
    },
    always=True,
)
SELECTOR = struct(
    "LabelSelector",
    "",
    matchLabels=TEXT_MAP,
    matchExpressions=listed(struct("LabelSelectorRequirement", "key:s operator:s", values=TEXT_LIST)),
)
CONDITIONS = keyed(ANY, "type")
REFERENCE = atomic(struct("ObjectReference", "kind:s namespace:s name:s uid:s apiVersion:s resourceVersion:s fieldPath:s"))

_ONE = atomic(ANY)
_HTTP_GET = struct("HTTPGetAction", "path:s port host:s scheme:s httpHeaders")
_HANDLERS = {
    "exec_": struct("ExecAction", "", command=TEXT_LIST),
    "httpGet": _HTTP_GET,
    "tcpSocket": struct("TCPSocketAction", "port host:s"),
}
_PROBE = struct(
    "Probe",
    "initialDelaySeconds:i timeoutSeconds:i periodSeconds:i successThreshold:i failureThreshold:i terminationGracePeriodSeconds:l",
    grpc=struct("GRPCAction", "port:i service:s"),
    **_HANDLERS,
)
_HANDLER = struct("LifecycleHandler", "", sleep=struct("SleepAction", "seconds:l"), **_HANDLERS)
_KEY = atomic(struct("SecretKeySelector", "name:s key:s optional:b"))
_FIELD = atomic(struct("ObjectFieldSelector", "apiVersion:s fieldPath:s"))
_ENV = struct(
    "EnvVar",
    "name:s value:s",
    valueFrom=struct("EnvVarSource", "", resourceFieldRef=_ONE, fileKeyRef=_ONE, fieldRef=_FIELD, configMapKeyRef=_KEY, secretKeyRef=_KEY),
)
_CONTAINER = struct(
    "Container",
    "name:s image:s workingDir:s envFrom terminationMessagePath:s terminationMessagePolicy:s imagePullPolicy:s securityContext stdin:b "
    "stdinOnce:b tty:b resizePolicy restartPolicy:s restartPolicyRules targetContainerName:s",
    command=TEXT_LIST,
    args=TEXT_LIST,
    ports=keyed(
        struct("ContainerPort", "name:s hostPort:i containerPort:i protocol:s hostIP:s"), "containerPort", "protocol", protocol="TCP"
    ),
    env=keyed(_ENV, "name"),
    resources=struct("ResourceRequirements", "limits:o requests:o", claims=keyed(ANY, "name")),
    volumeMounts=keyed(
        struct("VolumeMount", "name:s readOnly:b recursiveReadOnly:s mountPath:s subPath:s mountPropagation:s subPathExpr:s"), "mountPath"
    ),
    volumeDevices=keyed(struct("VolumeDevice", "name:s devicePath:s"), "devicePath"),
    livenessProbe=_PROBE,
    readinessProbe=_PROBE,
    startupProbe=_PROBE,
    lifecycle=struct("Lifecycle", "stopSignal:s", postStart=_HANDLER, preStop=_HANDLER),
)
_VOLUME = struct(
    "Volume",
    "name:s hostPath:o emptyDir:o gcePersistentDisk awsElasticBlockStore gitRepo secret:o nfs iscsi glusterfs persistentVolumeClaim rbd "
    "flexVolume cinder cephfs flocker fc azureFile configMap:o vsphereVolume quobyte azureDisk photonPersistentDisk "
    "portworxVolume scaleIO storageos csi ephemeral image",
    downwardAPI=struct(
        "DownwardAPIVolumeSource",
        "defaultMode:i",
        items=listed(struct("DownwardAPIVolumeFile", "path:s mode:i", fieldRef=_FIELD, resourceFieldRef=_ONE)),
    ),
    projected=struct("ProjectedVolumeSource", "defaultMode:i", sources=listed(OBJECT)),
)
_NODE_AFFINITY = struct(
    "NodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution", requiredDuringSchedulingIgnoredDuringExecution=_ONE
)
_AFFINITY = struct("Affinity", "podAffinity:o podAntiAffinity:o", nodeAffinity=_NODE_AFFINITY)
SPEC = struct(
    "PodSpec",
    "restartPolicy:s terminationGracePeriodSeconds:l activeDeadlineSeconds:l dnsPolicy:s serviceAccountName:s serviceAccount:s "
    "automountServiceAccountToken:b nodeName:s hostNetwork:b hostPID:b hostIPC:b shareProcessNamespace:b securityContext:o hostname:s "
    "subdomain:s schedulerName:s priorityClassName:s priority:i dnsConfig readinessGates runtimeClassName:s "
    "enableServiceLinks:b preemptionPolicy:s overhead setHostnameAsFQDN:b os hostUsers:b resources hostnameOverride:s workloadRef",
    affinity=_AFFINITY,
    volumes=keyed(_VOLUME, "name"),
    initContainers=keyed(_CONTAINER, "name"),
    tolerations=listed(OBJECT),
    containers=always(keyed(_CONTAINER, "name")),
    ephemeralContainers=keyed(_CONTAINER, "name"),
    nodeSelector=_ONE,
    imagePullSecrets=keyed(ANY, "name"),
    hostAliases=keyed(ANY, "ip"),
    topologySpreadConstraints=keyed(ANY, "topologyKey", "whenUnsatisfiable"),
    schedulingGates=keyed(ANY, "name"),
    resourceClaims=keyed(ANY, "name"),
)
STATUS = struct(
    "PodStatus",
    "observedGeneration:l phase:s message:s reason:s nominatedNodeName:s hostIP:s podIP:s startTime:s qosClass:s initContainerStatuses "
    "containerStatuses ephemeralContainerStatuses resize:s resourceClaimStatuses extendedResourceClaimStatus allocatedResources resources",
    conditions=CONDITIONS,
    podIPs=keyed(ANY, "ip"),
    hostIPs=Shape(patch_key="ip"),
)
POD = struct("Pod", "", metadata=METADATA, spec=always(SPEC), status=always(STATUS))
TEMPLATE_METADATA = struct("ObjectMeta", METADATA_FIELDS, labels=TEXT_MAP, annotations=TEXT_MAP, **METADATA.fields)
_OWNER = atomic(struct("OwnerReference", "apiVersion:s kind:s name:s uid:s controller:b blockOwnerDeletion:b"))
OBJECT_METADATA = struct(
    "ObjectMeta",
    METADATA_FIELDS,
    labels=TEXT_MAP,
    annotations=TEXT_MAP,
    finalizers=METADATA.fields["finalizers"],
    ownerReferences=keyed(_OWNER, "uid"),
)
TEMPLATE = struct("PodTemplateSpec", "", metadata=always(TEMPLATE_METADATA), spec=always(SPEC))
