package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// A filler sets every field of a struct to a value that is told from all others, or, with zeros, to one that is there and zero.
// Structs inside themselves end after one round.
type filler struct {
	count int64
	open  map[reflect.Type]int
	zeros bool
}

func writeSamples(out io.Writer, scheme *runtime.Scheme) {
	serializer := protobuf.NewSerializer(scheme, scheme)
	for _, line := range kinds {
		group, _, _ := strings.Cut(line, " ")
		for _, kind := range strings.Fields(line)[1:] {
			of := schema.FromAPIVersionAndKind(group, kind)
			for _, fill := range []*filler{{open: map[reflect.Type]int{}}, {open: map[reflect.Type]int{}, zeros: true}, nil} {
				object, err := scheme.New(of)
				must(err)
				if fill != nil {
					fill.fill(reflect.ValueOf(object).Elem())
				}
				object.GetObjectKind().SetGroupVersionKind(of)
				var asProtobuf bytes.Buffer
				must(serializer.Encode(object, &asProtobuf))
				read, _, err := serializer.Decode(asProtobuf.Bytes(), nil, nil)
				must(err)
				asJSON, err := json.Marshal(read)
				must(err)
				fmt.Fprintf(out, "%s\n%s\n", asJSON, base64.StdEncoding.EncodeToString(asProtobuf.Bytes()))
			}
		}
	}
}

func (f *filler) next() int64 {
	f.count++
	return f.count
}

func (f *filler) fill(value reflect.Value) {
	if f.zeros {
		f.fillKind(value)
		return
	}
	moment := time.Date(2026, 3, 4, 5, 6, int(f.count%60), 0, time.UTC)
	switch place := value.Addr().Interface().(type) {
	case *meta.Time:
		*place = meta.NewTime(moment)
	case *meta.MicroTime:
		*place = meta.NewMicroTime(moment.Add(time.Duration(f.next()) * time.Microsecond))
	case *resource.Quantity:
		*place = resource.MustParse(fmt.Sprintf("%dm", f.next()))
	case *intstr.IntOrString:
		if number := f.next(); number%2 == 0 {
			*place = intstr.FromInt32(int32(number))
		} else {
			*place = intstr.FromString(fmt.Sprintf("%d%%", number))
		}
	case *meta.FieldsV1:
		place.Raw = []byte(fmt.Sprintf(`{"f:spec":{"f:n%d":{}}}`, f.next()))
	case *runtime.RawExtension:
		place.Raw = []byte(fmt.Sprintf(`{"n":%d}`, f.next()))
	case *apiextensions.JSON:
		place.Raw = []byte(fmt.Sprintf(`{"n":%d}`, f.next()))
	case *apiextensions.JSONSchemaPropsOrArray:
		place.Schema = &apiextensions.JSONSchemaProps{Type: "string"}
		if f.next()%2 == 0 {
			place.Schema, place.JSONSchemas = nil, []apiextensions.JSONSchemaProps{{Type: "string"}, {Type: "object"}}
		}
	case *apiextensions.JSONSchemaPropsOrBool:
		place.Allows = true
		if f.next()%2 == 0 {
			place.Schema = &apiextensions.JSONSchemaProps{Type: "string"}
		}
	case *apiextensions.JSONSchemaPropsOrStringArray:
		place.Schema = &apiextensions.JSONSchemaProps{Type: "string"}
		if f.next()%2 == 0 {
			place.Schema, place.Property = nil, []string{"a", "b"}
		}
	case *meta.TypeMeta:
	default:
		f.fillKind(value)
	}
}

func (f *filler) fillKind(value reflect.Value) {
	if f.zeros && (leaves[messageName(value.Type())] || value.Kind() <= reflect.Float64 || value.Kind() == reflect.String) {
		return
	}
	switch value.Kind() {
	case reflect.Pointer:
		if f.open[value.Type().Elem()] > 1 {
			return
		}
		value.Set(reflect.New(value.Type().Elem()))
		f.fill(value.Elem())
	case reflect.Struct:
		f.open[value.Type()]++
		for i := range value.NumField() {
			f.fill(value.Field(i))
		}
		f.open[value.Type()]--
	case reflect.Map:
		if f.open[value.Type().Elem()] > 1 {
			return
		}
		value.Set(reflect.MakeMap(value.Type()))
		for range 2 {
			key, item := reflect.New(value.Type().Key()).Elem(), reflect.New(value.Type().Elem()).Elem()
			f.fill(key)
			f.fill(item)
			value.SetMapIndex(key, item)
		}
	case reflect.Slice:
		if value.Type().Elem().Kind() == reflect.Uint8 {
			value.SetBytes([]byte{0, byte(f.next()), 255})
			return
		}
		if f.open[value.Type().Elem()] > 1 {
			return
		}
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		f.fill(value.Index(0))
	case reflect.String:
		value.SetString(fmt.Sprintf("text-%d", f.next()))
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int32, reflect.Int64:
		value.SetInt(-f.next())
	case reflect.Float64:
		value.SetFloat(float64(f.next()) / 8)
	default:
		panic(value.Type())
	}
}
