package detect

import "strings"

// standIns are words in examples of tokens.
var standIns = []string{
	"example", "sample", "dummy", "placeholder", "redacted", "changeme", "replace", "invalid", "notreal", "notareal", "testtoken", "faketoken", "secretkey",
	"mytoken", "yourtoken", "your_", "your-", "yourapi", "yourkey", "mysecret", "token_here", "xxxx", "****", "....", "deadbeef", "cafebabe", "foobar", "lorem",
}

// plausible tells whether a token may be a real one: it is no example and not made by a few keys in a row.
func plausible(value string) bool {
	low := strings.ToLower(value)
	for _, w := range standIns {
		if strings.Contains(low, w) && (len(w) > 4 || len(value) < 200) {
			return false
		}
	}
	return !typed(low) && variety(low) >= min(9, len(value)/2)
}

// typed tells whether a text has what people type who need something: one character or a few over and over, or the alphabet.
func typed(s string) bool {
	var same, up, down, alternate int
	for i := 1; i < len(s); i++ {
		step := int(s[i]) - int(s[i-1])
		same, up, down = counting(same, step == 0), counting(up, step == 1), counting(down, step == -1)
		alternate = counting(alternate, i > 1 && (s[i] == s[i-2]+1 || s[i] == s[i-2]))
		if same >= 7 || up >= 6 || down >= 6 || alternate >= 9 {
			return true
		}
	}
	return repeated(s)
}

func counting(n int, goesOn bool) int {
	if goesOn {
		return n + 1
	}
	return 0
}

// repeated tells whether up to 10 characters are repeated over 24 or more.
func repeated(s string) bool {
	for period := 2; period <= 10; period++ {
		run := 0
		for i := period; i < len(s); i++ {
			if run = counting(run, s[i] == s[i-period]); run >= max(24-period, 2*period) {
				return true
			}
		}
	}
	return false
}

// shuffled is plausible for tokens with a prefix that other things have, too: what follows looks random.
func shuffled(value []byte) bool {
	v := string(value)
	body := v
	if i := strings.IndexAny(v, "_-.:~"); i >= 0 && i < len(v)/3 {
		body = v[i+1:]
	}
	return plausible(v) && scrambled(body)
}

// scrambled tells whether a text was made by chance, and not of words.
func scrambled(s string) bool {
	if isHex(s) {
		return variety(s) >= 8
	}
	return surprise(s) >= 4.2*float64(len(s)) && variety(s) >= min(9, len(s)/2) && classes(s) >= 2
}

// mixed is for tokens of capitals, small letters and digits.
func mixed(value []byte) bool {
	var lower, upper, digits int
	for _, c := range value {
		switch {
		case isLower(c):
			lower++
		case isUpper(c):
			upper++
		case isDigit(c):
			digits++
		}
	}
	least := len(value) / 12
	return lower >= least && upper >= least && digits > 0 && plausible(string(value))
}
