// Which fields do Kubernetes' kinds have in protobuf, and what do objects of these kinds look like in both forms?
//
// `go run . fields` writes the table that the development API server reads bodies by; `go run . samples` writes three objects of
// each kind (every field set, every field there and zero, none there) as the real serializers write them in JSON and in protobuf.
package main

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strings"

	apps "k8s.io/api/apps/v1"
	authorization "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	events "k8s.io/api/events/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kinds are those that clients may send to the development API server.
var kinds = []string{
	"v1 Namespace Node Pod Service Endpoints Event ConfigMap Secret ServiceAccount PodTemplate DeleteOptions",
	"apps/v1 ReplicaSet Deployment",
	"batch/v1 Job",
	"discovery.k8s.io/v1 EndpointSlice",
	"coordination.k8s.io/v1 Lease",
	"networking.k8s.io/v1 Ingress IngressClass",
	"apiextensions.k8s.io/v1 CustomResourceDefinition",
	"policy/v1 PodDisruptionBudget Eviction",
	"autoscaling/v1 Scale",
	"autoscaling/v2 HorizontalPodAutoscaler",
	"rbac.authorization.k8s.io/v1 Role RoleBinding ClusterRole ClusterRoleBinding",
	"events.k8s.io/v1 Event",
	"authorization.k8s.io/v1 LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
}

func main() {
	if len(os.Args) != 2 || (os.Args[1] != "fields" && os.Args[1] != "samples") {
		fmt.Fprintln(os.Stderr, "usage: go run . fields|samples")
		os.Exit(2)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	if os.Args[1] == "samples" {
		writeSamples(out, knownKinds())
		return
	}
	fmt.Fprintf(out, "# Facts of the Kubernetes API (k8s.io/api %s, Copyright The Kubernetes Authors, Apache-2.0), written by `make protobuf`.\n", version())
	messages := table{}
	for _, line := range kinds {
		group, _, _ := strings.Cut(line, " ")
		for _, kind := range strings.Fields(line)[1:] {
			object, err := knownKinds().New(schema.FromAPIVersionAndKind(group, kind))
			must(err)
			fmt.Fprintf(out, "= %s %s %s\n", group, kind, messages.add(reflect.TypeOf(object).Elem()))
		}
	}
	messages.write(out)
}

func knownKinds() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		apps.AddToScheme, authorization.AddToScheme, autoscalingv1.AddToScheme, autoscalingv2.AddToScheme, batch.AddToScheme,
		coordination.AddToScheme, core.AddToScheme, discovery.AddToScheme, events.AddToScheme, networking.AddToScheme,
		policy.AddToScheme, rbac.AddToScheme, apiextensions.AddToScheme,
	} {
		must(add(scheme))
	}
	return scheme
}

func version() string {
	built, _ := debug.ReadBuildInfo()
	for _, module := range built.Deps {
		if module.Path == "k8s.io/api" {
			return module.Version
		}
	}
	return "of an unknown version"
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
