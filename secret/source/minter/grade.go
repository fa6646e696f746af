package minter

import (
	"slices"
	"strings"

	"github.com/tightlip/tightlip/secret"
)

// Grade implements secret.Graded. About has the best that a kind can make; a reference may ask for more than that.
func (m *minter) Grade(ref secret.Ref) secret.Grade {
	o, err := m.order(ref)
	if err != nil {
		return secret.GradeD
	}
	best := m.kind.about.Grade
	if m.kind.grade != nil {
		best = max(best, m.kind.grade(o)) // they are letters, and the worse is the later one
	}
	if m.kind.life != "" && o.life > max(secret.ShortLife, m.kind.about.Least) {
		best = max(best, secret.GradeC)
	}
	return best
}

// narrowed is A if a reference has one of the keys, else B.
func narrowed(keys ...string) func(*order) secret.Grade {
	return func(o *order) secret.Grade {
		if slices.ContainsFunc(keys, func(key string) bool { return o.Get(key) != "" }) {
			return secret.GradeA
		}
		return secret.GradeB
	}
}

// gradeOfVault: a child without a role has its parent's policies unless it names some, and root is no policy but the lack of one.
func gradeOfVault(o *order) secret.Grade {
	policies := o.List("policies")
	if slices.Contains(policies, "root") || o.Path == "" && len(policies) == 0 {
		return secret.GradeB
	}
	return secret.GradeA
}

// gradeOfOAuth2: how long a token lives is the issuer's choice, so that it has to be revocable.
func gradeOfOAuth2(o *order) secret.Grade {
	if o.Get("revoke-url") == "" && o.Get("issuer") == "" {
		return secret.GradeC
	}
	return narrowed("scope", "audience", "resource")(o)
}

// gradeOfJFrog: these scopes are all that a user or an administrator may do.
func gradeOfJFrog(o *order) secret.Grade {
	for scope := range strings.FieldsSeq(o.Get("scope")) {
		if scope == "applied-permissions/user" || scope == "applied-permissions/admin" {
			return secret.GradeB
		}
	}
	return secret.GradeA
}
