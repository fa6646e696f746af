package secret

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/tightlip/tightlip/internal/suggest"
	"github.com/tonistiigi/go-csvvalue"
)

// Spec is one --secret flag.
type Spec struct {
	ID              string
	Ref             Ref  // zero if the flag gives only an id: see DefaultRef
	RebuildOnChange bool // a changed value runs the steps that use it again
	// Argument is the build argument that brings the secret to the build; empty: steps mount it.
	Argument string
}

// The ways to bring a secret to a build that a Spec can ask for.
const (
	DeliverMount    = "mount"
	DeliverArgument = "build-arg"
)

// ParseSpec reads the value of a --secret flag: docker's syntax with its exact meaning, and two keys more.
//
//	id=NAME                the variable NAME if it is set, else the file NAME (see [DefaultRef])
//	id=NAME,src=PATH       a file; source= is the same
//	id=NAME,env=VARIABLE   an environment variable, even if src= is also there
//	id=NAME,type=env,src=VARIABLE
//	id=NAME,from=REF       any reference; quote the field as in CSV if REF contains a comma
//	…,rebuild=on-change    see [Spec]
//	…,deliver=build-arg[,arg=ARGUMENT]
//	                       a build argument of the secret's id or that name: see [Spec]
//
// Keys are case-insensitive and the last of equal keys counts, as in docker. The path of src= is literal: ~ and #
// have a meaning in from=file:PATH only. The error is a [*SyntaxError].
func ParseSpec(text string) (Spec, error) {
	fields, err := csvvalue.Fields(text, nil)
	if err != nil {
		// Its text is not passed on: only the position is of use.
		return Spec{}, &SyntaxError{
			Problem: "--secret: the quotes do not match",
			Try:     `put a field that has a " in quotes, and double the one within: --secret 'id=NAME,"from=cmd:tool --name ""my token"""'`,
		}
	}
	var f specFields
	for i, field := range fields {
		if err := f.set(field); err != nil {
			return Spec{}, specError("field " + strconv.Itoa(i+1) + " " + err.Error())
		}
	}
	return f.spec()
}

// ParseSpecs reads all --secret flags of a command line. Empty ones are ignored, and of flags with the same id the
// last one counts, in the place of the first, as in docker. Each bad flag has its error in the result.
func ParseSpecs(texts []string) ([]Spec, error) {
	var specs []Spec
	var errs []error
	for _, text := range texts {
		if text == "" {
			continue
		}
		spec, err := ParseSpec(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if i := slices.IndexFunc(specs, func(s Spec) bool { return s.ID == spec.ID }); i >= 0 {
			specs[i] = spec
		} else {
			specs = append(specs, spec)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return specs, nil
}

// DefaultRef is where a secret comes from if only its id is known: the environment variable of that name if it is
// set, empty or not, else the file of that name. These are BuildKit's rules. The lookup is os.LookupEnv in earnest.
func DefaultRef(id string, lookup func(string) (string, bool)) (Ref, error) {
	if _, ok := lookup(id); ok {
		return ParseRef(SchemeEnv + ":" + id)
	}
	return FileRef(id)
}

// ValidID returns a [*SyntaxError] unless id can name a secret: it must not be empty, and printable.
func ValidID(id string) error {
	switch {
	case id == "":
		return specError("the id is missing")
	case !Printable(id):
		return specError("the id must be printable text")
	}
	return nil
}

var specKeys = []string{"id", "src", "source", "type", "env", "from", "rebuild", "deliver", "arg"}

type specFields struct {
	id, src, typ, env, from, rebuild, deliver, arg string
	hasFrom                                        bool
}

// set takes in one key=value field. Its errors describe the field, and quote neither part of it.
func (f *specFields) set(field string) error {
	key, value, ok := strings.Cut(field, "=")
	if !ok {
		return errors.New("is not key=value")
	}
	switch strings.ToLower(key) {
	case "id":
		f.id = value
	case "source", "src":
		f.src = value
	case "env":
		f.env = value
	case "type":
		f.typ = value
		if value != "file" && value != "env" {
			return errors.New("has an unknown type: file and env are known")
		}
	case "from":
		f.from, f.hasFrom = value, true
	case "rebuild":
		f.rebuild = value
		if value != "on-change" {
			return errors.New("has an unknown value for rebuild: on-change is the only one")
		}
	case "deliver":
		f.deliver = value
		if value != DeliverMount && value != DeliverArgument {
			return errors.New("has an unknown value for deliver: mount and build-arg are known")
		}
	case "arg":
		f.arg = value
	default:
		return errors.New("has an unknown key" + suggest.DidYouMean(key, specKeys))
	}
	return nil
}

// spec decides as buildx and BuildKit's secretsprovider do.
func (f *specFields) spec() (Spec, error) {
	if err := ValidID(f.id); err != nil {
		return Spec{}, err
	}
	if f.hasFrom && (f.src != "" || f.env != "" || f.typ != "") {
		return Spec{}, specError("from= replaces src=, env= and type=")
	}
	if f.typ == "env" && f.env == "" {
		f.src, f.env = "", f.src
	}
	if f.arg != "" && f.deliver != DeliverArgument {
		return Spec{}, specError("arg= is for deliver=build-arg")
	}
	spec := Spec{ID: f.id, RebuildOnChange: f.rebuild != ""}
	if f.deliver == DeliverArgument {
		spec.Argument = cmp.Or(f.arg, f.id)
	}
	var err error
	switch {
	case f.hasFrom:
		spec.Ref, err = ParseRef(f.from)
	case f.env != "":
		spec.Ref, err = ParseRef(SchemeEnv + ":" + f.env)
	case f.src != "":
		spec.Ref, err = FileRef(f.src)
	}
	if err != nil {
		return Spec{}, err
	}
	return spec, nil
}

func specError(problem string) error {
	return &SyntaxError{
		Problem: "--secret: " + problem,
		Try:     `write --secret id=NAME,src=FILE, --secret id=NAME,env=VARIABLE or --secret id=NAME,from=REFERENCE; a field with a comma takes quotes: --secret 'id=NAME,"from=REFERENCE"'`,
	}
}
