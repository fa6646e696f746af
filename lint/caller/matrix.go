package caller

import "go.yaml.in/yaml/v3"

// rounds reads the steps of a job, for each of the values that its matrix lists.
func (w workflow) rounds(job field, env map[string]*setting, dir string) {
	steps := w.get(job.value, "steps")
	rounds := w.matrix(w.get(job.value, "strategy", "matrix"))
	if steps == nil || !w.mayRepeat(len(rounds), w.end(steps)-w.start(steps)) {
		rounds = []map[string]string{nil}
	}
	for _, values := range rounds {
		vars := copied(env)
		for name, value := range values {
			vars["matrix."+name] = &setting{value: word{parts: []part{{kind: literal, text: value}}}}
		}
		w.steps(steps, w.env(vars, job.value), dir)
	}
}

// matrix is what the values of a matrix may be together; nil if the file does not list them, or has lists both to combine and to include.
func (w workflow) matrix(m *yaml.Node) []map[string]string {
	if include := w.get(m, "include"); include != nil {
		if entries(m) > 1 {
			return nil
		}
		return w.included(include)
	}
	out := []map[string]string{{}}
	for _, f := range w.fields(m) {
		values := literals(f.value)
		if len(values)*len(out) > maxRounds || len(values) == 0 || f.key.Value == "exclude" {
			return nil
		}
		var next []map[string]string
		for _, one := range out {
			for _, v := range values {
				more := map[string]string{f.key.Value: v}
				for name, value := range one {
					more[name] = value
				}
				next = append(next, more)
			}
		}
		out = next
	}
	return out
}

func (w workflow) included(include *yaml.Node) []map[string]string {
	if include.Kind != yaml.SequenceNode || len(include.Content) > maxRounds {
		return nil
	}
	var out []map[string]string
	for _, n := range include.Content {
		one := map[string]string{}
		for _, f := range w.fields(n) {
			if v := literals(f.value); len(v) == 1 {
				one[f.key.Value] = v[0]
			}
		}
		out = append(out, one)
	}
	return out
}

// literals are texts of a list; nil if one is not known.
func literals(n *yaml.Node) []string {
	var out []string
	for _, v := range items(n) {
		v = deref(v)
		if v.Kind != yaml.ScalarNode || expressions[actionsKind]().MatchString(v.Value) {
			return nil
		}
		out = append(out, v.Value)
	}
	return out
}
