// Package caller finds the builds that a project's other files start: compose, bake and CI files, Makefiles and scripts.
package caller

// Build is a build that a file starts.
type Build struct {
	Kind       string // of the file, such as "compose"
	File       string // as given to Read
	Line       int    // counted from 1
	Context    string // the folder, from the project's root and with slashes; "" if it is not known, or not a folder of the project
	Dockerfile string // from the project's root; "" if it is not known
	Inline     string // a Dockerfile in the file itself
	InlineLine int    // where that starts, counted from 1
	Target     string // the stage
	Service    string // its name in a compose file
	// Override tells that the rest of the build is in another compose file, as that of the service in docker-compose.override.yml mostly is.
	// What this file does not give is "" then, and not what compose takes without it.
	Override bool
	Args     []Arg
	Secrets  []string // the ids of those that the build is given as secrets
	// Published says how the arguments of the build get out, if they do: such as "provenance with mode=max".
	Published     string
	PublishedLine int
	// Alternatives are where else the build may be: the folder that a script runs in is not always known.
	Alternatives []Place
}

// Place is a context and a Dockerfile, each as in Build.
type Place struct{ Context, Dockerfile string }

// Arg is a build argument.
type Arg struct {
	Name                string // "*" if the file does not give it: the argument is one or more that only the run knows
	Line, Column, Width int    // where it stands in the file, counted from 1; in bytes
	From                string // the secret that fills it, such as "secrets.NPM_TOKEN" or "$NPM_TOKEN"; "" if it is none
	Literal             string // its value, if it is given as it is
}
