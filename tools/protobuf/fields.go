package main

import (
	"fmt"
	"io"
	"reflect"
	"sort"
	"strings"
)

// leaves are read by rules of their own: their JSON is not what their struct looks like.
var leaves = map[string]bool{
	"apiextensions.v1.JSON":       true,
	"authorization.v1.ExtraValue": true,
	"intstr.IntOrString":          true,
	"meta.v1.FieldsV1":            true,
	"meta.v1.MicroTime":           true,
	"meta.v1.Time":                true,
	"resource.Quantity":           true,
	"runtime.RawExtension":        true,
}

// A table collects messages, each with its lines "NUMBER NAME TYPE".
type table map[string][]string

// add takes in a struct and every struct that it leads to.
func (t table) add(of reflect.Type) string {
	name := messageName(of)
	if leaves[name] || t[name] != nil {
		return name
	}
	t[name] = []string{}
	for i := range of.NumField() {
		field := of.Field(i)
		tag := field.Tag.Get("protobuf")
		if tag == "" || tag == "-" {
			continue
		}
		t[name] = append(t[name], t.line(field, strings.Split(tag, ",")))
	}
	return name
}

func (t table) line(field reflect.StructField, tag []string) string {
	json, options, _ := strings.Cut(field.Tag.Get("json"), ",")
	switch {
	case strings.Contains(options, "inline"):
		json = "."
	case json == "":
		json = tag[3][len("name="):]
	}
	mark := ""
	kind := field.Type.Kind()
	if strings.Contains(options, "omitzero") || strings.Contains(options, "omitempty") && kind != reflect.Pointer && kind != reflect.Struct {
		mark = "?" // JSON leaves out the zero value, which protobuf writes
	}
	return fmt.Sprintf("%s %s %s%s", tag[1], json, t.typeOf(field.Type), mark)
}

// typeOf gives a type in the words of the table: [] is a list, {} a map whose keys are strings.
func (t table) typeOf(of reflect.Type) string {
	if leaves[messageName(of)] {
		return messageName(of)
	}
	switch of.Kind() {
	case reflect.Pointer:
		return t.typeOf(of.Elem())
	case reflect.Struct:
		return t.add(of)
	case reflect.Map:
		if of.Key().Kind() != reflect.String {
			panic(fmt.Sprintf("%s: a map whose keys are no strings", of))
		}
		return "{}" + t.typeOf(of.Elem())
	case reflect.Slice:
		if of.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + t.typeOf(of.Elem())
	case reflect.String, reflect.Bool, reflect.Int32, reflect.Int64, reflect.Float64:
		return of.Kind().String()
	}
	panic(fmt.Sprintf("%s: a type that the table has no word for", of))
}

// messageName gives core.v1.Pod for Pod in k8s.io/api/core/v1, and resource.Quantity where packages have no versions.
func messageName(of reflect.Type) string {
	parts := strings.Split(of.PkgPath(), "/")
	last := parts[len(parts)-1]
	if len(last) > 1 && last[0] == 'v' && last[1] >= '0' && last[1] <= '9' {
		last = parts[len(parts)-2] + "." + last
	}
	return last + "." + of.Name()
}

func (t table) write(out io.Writer) {
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(out, "%s\n", name)
		for _, line := range t[name] {
			fmt.Fprintf(out, " %s\n", line)
		}
	}
}
