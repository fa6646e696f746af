package leaks_test

import (
	"archive/tar"
	"slices"
	"testing"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image/imagetest"
	"github.com/tightlip/tightlip/scan/leaks"
)

func link(name, target string) imagetest.File {
	return imagetest.File{Name: name, Type: tar.TypeLink, Link: target}
}

func TestStatus(t *testing.T) {
	secret := func(name string) imagetest.File { return file(name, setting(one)) }
	named := "etc/token=" + two // is masked
	type layer = []imagetest.File
	for name, tc := range map[string]struct {
		layers []layer
		want   finding.Status
	}{
		"deleted":                              {[]layer{{secret("a/b/x.cfg")}, {file("a/b/.wh.x.cfg", "")}}, finding.Deleted},
		"folder deleted":                       {[]layer{{secret("a/b/x.cfg")}, {file(".wh.a", "")}}, finding.Deleted},
		"all deleted":                          {[]layer{{secret("a/b/x.cfg")}, {file(".wh..wh..opq", "")}}, finding.Deleted},
		"folder emptied":                       {[]layer{{secret("a/b/x.cfg")}, {file("a/.wh..wh..opq", "")}}, finding.Deleted},
		"other folder emptied":                 {[]layer{{secret("a/b/x.cfg")}, {file("a/b/x.cfg.d/.wh..wh..opq", "")}}, finding.Visible},
		"folder replaced by a file":            {[]layer{{secret("a/b/x.cfg")}, {file("a", "x")}}, finding.Overwritten},
		"folder replaced by a link":            {[]layer{{secret("a/b/x.cfg")}, {{Name: "./a/b", Type: tar.TypeSymlink, Link: "c"}}}, finding.Overwritten},
		"folder changed":                       {[]layer{{secret("a/b/x.cfg")}, {{Name: "a/b/"}}}, finding.Visible},
		"folder changed, without a slash":      {[]layer{{secret("a/b/x.cfg")}, {{Name: "a/b", Type: tar.TypeDir}}}, finding.Visible},
		"replaced by a folder":                 {[]layer{{secret("a/b/x.cfg")}, {{Name: "a/b/x.cfg/"}}}, finding.Overwritten},
		"masked, deleted":                      {[]layer{{secret(named + "/x.cfg")}, {file(named+"/.wh.x.cfg", "")}}, finding.Deleted},
		"masked, folder deleted":               {[]layer{{secret(named + "/x.cfg")}, {file("etc/.wh.token="+two, "")}}, finding.Deleted},
		"masked, overwritten":                  {[]layer{{secret(named + "/x.cfg")}, {file(named+"/x.cfg", "x")}}, finding.Overwritten},
		"masked, folder replaced":              {[]layer{{secret(named + "/x.cfg")}, {file(named, "x")}}, finding.Overwritten},
		"masked, visible":                      {[]layer{{secret(named + "/x.cfg")}, {file("etc/other", "x")}}, finding.Visible},
		"linked, deleted":                      {[]layer{{secret("x.cfg"), link("a/y.cfg", "x.cfg")}, {file(".wh.x.cfg", "")}}, finding.Visible},
		"linked, overwritten":                  {[]layer{{secret("x.cfg"), link("a/y.cfg", "./x.cfg")}, {file("x.cfg", "x")}}, finding.Visible},
		"linked, both deleted":                 {[]layer{{secret("x.cfg"), link("a/y.cfg", "x.cfg")}, {file(".wh.x.cfg", ""), file("a/.wh.y.cfg", "")}}, finding.Deleted},
		"linked, one after the other deleted":  {[]layer{{secret("x.cfg"), link("a/y.cfg", "x.cfg")}, {file(".wh.x.cfg", "")}, {file(".wh.a", "")}}, finding.Deleted},
		"linked by a link, deleted":            {[]layer{{secret("x.cfg"), link("y.cfg", "x.cfg"), link("z.cfg", "y.cfg")}, {file(".wh.x.cfg", ""), file(".wh.y.cfg", "")}}, finding.Visible},
		"linked later, deleted":                {[]layer{{secret("x.cfg")}, {link("y.cfg", "x.cfg")}, {file(".wh.x.cfg", "")}}, finding.Visible},
		"moved":                                {[]layer{{secret("x.cfg")}, {link("y.cfg", "x.cfg"), file(".wh.x.cfg", "")}}, finding.Visible},
		"moved, later deleted":                 {[]layer{{secret("x.cfg")}, {link("y.cfg", "x.cfg"), file(".wh.x.cfg", "")}, {file(".wh.y.cfg", "")}}, finding.Deleted},
		"linked after it was deleted":          {[]layer{{secret("x.cfg")}, {file(".wh.x.cfg", "")}, {link("y.cfg", "x.cfg")}}, finding.Deleted},
		"overwritten, and the other is linked": {[]layer{{secret("x.cfg")}, {file("x.cfg", "x"), link("y.cfg", "x.cfg")}}, finding.Overwritten},
		"masked, linked, deleted":              {[]layer{{secret(named), link("y.cfg", named)}, {file("etc/.wh.token="+two, "")}}, finding.Visible},
		"symbolic link":                        {[]layer{{secret("x.cfg"), {Name: "y.cfg", Type: tar.TypeSymlink, Link: "x.cfg"}}, {file(".wh.x.cfg", "")}}, finding.Deleted},
	} {
		t.Run(name, func(t *testing.T) {
			var steps []imagetest.Step
			for _, files := range tc.layers {
				steps = append(steps, imagetest.Step{CreatedBy: "COPY", Files: files})
			}
			cache, err := leaks.OpenCache(t.TempDir(), "")
			if err != nil {
				t.Fatal(err)
			}
			img := open(t, imagetest.NewArchive(t, "app:1", imagetest.Image(t, "linux/amd64", steps...)))
			for range 2 { // the second time from the cache
				r := find(t, img, leaks.Options{Cache: cache})
				at := slices.IndexFunc(r.Findings, func(f finding.Leak) bool { return f.Line == 1 })
				if at < 0 || r.Findings[at].Status != tc.want || len(r.Unread) > 0 {
					t.Errorf("found %q, want %s; unread %v", places(r), tc.want, r.Unread)
				}
			}
		})
	}
}
