package report_test

import (
	"strings"
	"testing"
)

// Expressions that the tests ask a page for.
const (
	visible = `[...document.querySelectorAll('.finding')].filter(e => e.checkVisibility()).length`
	counted = `document.getElementById('count').textContent`
	focused = `(e => e.id || e.className || (e.closest('.finding') ? 'finding' : e.tagName))(document.activeElement)`
)

// TestBrowser uses the page as a person does. It takes one browser for all: starting takes longer than the rest.
func TestBrowser(t *testing.T) {
	b := chromium(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *browser)
	}{
		{"filter", filtering}, {"keyboard", keyboard}, {"theme", theme}, {"hostile", hostilePages}, {"narrow", narrow}, {"print", printing},
		{"clean", cleanPage}, {"without script", withoutScript},
	} {
		t.Run(test.name, func(t *testing.T) {
			b.t = t
			test.run(t, b)
		})
		b.t = t
	}
}

func expect(t *testing.T, b *browser, expression string, want any) {
	t.Helper()
	if got := b.eval("%s", expression); got != want {
		t.Errorf("%s is %v, want %v", expression, got, want)
	}
}

// filtering: the script runs under the page's policy, asks for nothing, and finds.
func filtering(t *testing.T, b *browser) {
	address := b.open(written(t, "html", scanned(), nothing()))
	expect(t, b, visible, 8.0)
	expect(t, b, counted, "8 findings")
	expect(t, b, `document.querySelectorAll('.image:not([hidden])').length`, 2.0)

	b.eval(`document.getElementById('query').focus()`)
	b.write("NPMRC corp")
	expect(t, b, visible, 1.0)
	expect(t, b, counted, "1 of 8 findings")
	expect(t, b, `document.querySelectorAll('.layer:not([hidden])').length`, 1.0)
	expect(t, b, `document.querySelectorAll('.image:not([hidden])').length`, 1.0)
	b.write(" nowhere")
	expect(t, b, visible, 0.0)

	b.eval(`document.getElementById('reset').click()`)
	expect(t, b, visible, 8.0)
	for id, choice := range map[string]struct {
		value string
		n     float64
	}{"severity": {"critical", 3}, "status": {"deleted", 2}, "rule": {"assigned", 1}} {
		b.eval(`document.getElementById(%q).value = %q; document.getElementById(%[1]q).dispatchEvent(new Event('change'))`, id, choice.value)
		expect(t, b, visible, choice.n)
		b.eval(`document.getElementById('reset').click()`)
	}
	expect(t, b, visible, 8.0)
	b.quiet(address)

	// Without this, a policy that does nothing would pass.
	b.eval(`document.body.append(Object.assign(document.createElement('script'), {textContent: 'ran = 1'}), Object.assign(new Image(), {src: 'https://evil.example/x.png'}))`)
	expect(t, b, `typeof ran`, "undefined")
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complaints) == 0 {
		t.Error("the policy let a strange script and picture pass")
	}
}

// keyboard: Tab reaches everything, Enter and Space open and close.
func keyboard(t *testing.T, b *browser) {
	address := b.open(written(t, "html", scanned()))
	var stops []string
	for range 9 {
		b.key("Tab")
		stops = append(stops, b.eval(focused).(string))
	}
	if got, want := strings.Join(stops, " "), "skip theme query severity status rule open reset finding"; got != want {
		t.Fatalf("Tab goes to %s, want %s", got, want)
	}
	expect(t, b, `getComputedStyle(document.activeElement).outlineStyle`, "solid")
	const open = `document.activeElement.parentElement.open`
	b.key("Enter")
	expect(t, b, open, true)
	b.key(" ")
	expect(t, b, open, false)
	b.eval(`document.getElementById('open').focus()`)
	b.key(" ")
	expect(t, b, `document.querySelectorAll('.finding details:not([open])').length`, 0.0)
	expect(t, b, `document.getElementById('open').textContent`, "Close all")
	b.key(" ")
	expect(t, b, `document.querySelectorAll('.finding details[open]').length`, 0.0)
	b.quiet(address)
}

// theme: the system's, until the button is pressed.
func theme(t *testing.T, b *browser) {
	address := b.open(written(t, "html", scanned()))
	const background = `getComputedStyle(document.documentElement).backgroundColor`
	emulate := func(scheme string) {
		b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	}
	emulate("dark")
	expect(t, b, background, "rgb(15, 18, 22)")
	b.eval(`document.getElementById('theme').click()`)
	expect(t, b, background, "rgb(245, 246, 248)")
	emulate("light")
	b.eval(`document.getElementById('theme').click()`)
	expect(t, b, background, "rgb(15, 18, 22)")
	expect(t, b, `document.getElementById('theme').textContent`, "Light theme")
	b.quiet(address)
}

func hostilePages(t *testing.T, b *browser) {
	eachNasty(t, func(t *testing.T, text string) {
		b.t = t
		address := b.open(written(t, "html", hostile(text)))
		expect(t, b, `typeof pwned`, "undefined")
		expect(t, b, `document.scripts.length + document.images.length + document.links.length`, 2.0) // ours, and the skip link
		expect(t, b, visible, 3.0)
		b.quiet(address)
	})
	b.t = t
}

// narrow: a telephone shows it all without scrolling sideways.
func narrow(t *testing.T, b *browser) {
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": 320, "height": 700, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.open(written(t, "html", scanned(), hostile(strings.Join(nasty, " "))))
	b.eval(`document.querySelectorAll('details').forEach(d => { d.open = true })`)
	expect(t, b, `(e => e.scrollWidth - e.clientWidth)(document.documentElement)`, 0.0)
	b.call("Emulation.clearDeviceMetricsOverride", nil, nil)
}

// printing: paper shows what is folded, and afterwards it is folded again.
func printing(t *testing.T, b *browser) {
	address := b.open(written(t, "html", scanned()))
	b.eval(`addEventListener('beforeprint', () => { folded = document.querySelectorAll('details:not([open])').length })`)
	b.call("Page.printToPDF", nil, nil)
	expect(t, b, `folded`, 0.0)
	expect(t, b, `document.querySelectorAll('details[open]').length`, 0.0)
	b.quiet(address)
}

func cleanPage(t *testing.T, b *browser) {
	address := b.open(written(t, "html", nothing()))
	expect(t, b, `document.querySelector('.headline').textContent`, "No secrets")
	expect(t, b, `document.getElementById('tools')`, nil)
	expect(t, b, `document.getElementById('theme').checkVisibility()`, true)
	b.quiet(address)
}

// withoutScript: all is there but the filters, which would do nothing.
func withoutScript(t *testing.T, b *browser) {
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	b.open(written(t, "html", scanned()))
	expect(t, b, visible, 8.0)
	expect(t, b, `document.getElementById('tools').checkVisibility() || document.getElementById('theme').checkVisibility()`, false)
	b.eval(`document.querySelector('.finding summary').focus()`)
	b.key("Enter")
	expect(t, b, `document.querySelector('.finding details').open`, true)
}
