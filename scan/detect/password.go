package detect

import (
	"net/url"
	"strings"
)

// stockWords are what passwords in examples, manuals and tests are made of. They are compared without case, digits at the end, and
// with letters in place of the digits and signs that look like them.
var stockWords = words(`password passwd passwort pass pwd passphrase pw secret secrets supersecret topsecret secretpassword secretpass mysecret mysecretpassword
	mypassword mypass mypwd mypw yourpassword yourpass userpass userpassword dbpass dbpassword dbpwd rootpass rootpassword adminpass adminpassword
	user username admin root test testing tester testpass testpassword testpwd testuser testtoken demo guest default example sample dummy fake
	foo foobar foobared bar baz qux quux foopass barpass hunter letmein qwerty qwertyuiop welcome changeme changeit abc abcd abcdef xyz asdf asdfgh hello helloworld
	world token mytoken yourtoken key mykey apikey value string text something anything whatever blah none null empty correct wrong incorrect bad good
	opensesame sesame mellon tiger scott hr oracle postgres postgresql mysql mariadb mongo mongodb redis rabbit rabbitmq guestguest elastic kibana minio minioadmin
	docker podman vagrant ubuntu debian alpine joe jane john bob alice carol dave eve smith doe friend monkey dragon master shadow sunshine princess
	notreal pasword anoncvs anonsvn credential credentials cred creds auth login access private public swordfish trustno iloveyou super manager tomcat server client proxy squid
	proxypass proxypassword proxypwd ftp anonymous nobody nopass nopassword blank hidden removed redacted encrypted encoded urlencoded escaped
	goodpassword badpassword wrongpass wrongpassword newpass newpassword oldpass oldpassword somepass somepassword thepassword strongpassword verysecret
	shhh shh ssh git gitlab github bitbucket npm pypi x y z p u a b c d personalaccesstoken accesstoken token_value bearer basic`)

// looksLike are digits and signs that stand for letters.
var looksLike = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// joiners join words, and do not make a password of them.
var joiners = strings.NewReplacer("_", "", "-", "", ".", "")

// password tells whether somebody's real password is written here, and none of an example. It knows nothing but the password and
// its user, so it has to be hard to guess: not a word, not a name, not the user's.
func password(value, user string) bool {
	if plain, err := url.PathUnescape(value); err == nil {
		value = plain
	}
	if len(value) < 6 || len(value) > 200 || strings.IndexByte("$%", value[0]) >= 0 || strings.ContainsAny(value, "<>{}()[\\\"'`") ||
		placeholder(value) || !printableASCII(value) || !plausible(value) {
		return false
	}
	low := strings.ToLower(value)
	if isStock(low) || user != "" && len(user) > 2 && strings.Contains(low, strings.ToLower(user)) && len(value) < len(user)+6 {
		return false
	}
	average := surprise(value) / float64(len(value))
	switch classes(joiners.Replace(value)) {
	case 1:
		return len(value) >= 8 && (average >= 4.5 || isDigits(value))
	case 2:
		return average >= 3.2
	}
	return average >= 2.6
}

// isStock tells whether a password in small letters is made of stock words.
func isStock(low string) bool {
	for _, text := range []string{low, looksLike.Replace(low)} {
		bare := strings.Map(func(r rune) rune {
			if 'a' <= r && r <= 'z' {
				return r
			}
			return -1
		}, strings.TrimRight(text, "0123456789!?.#"))
		if bare == "" || stockWords()[bare] || twoStockWords(bare) {
			return !isDigits(low)
		}
	}
	return false
}

func twoStockWords(s string) bool {
	for i := 2; i+2 <= len(s); i++ {
		if stockWords()[s[:i]] && stockWords()[s[i:]] {
			return true
		}
	}
	return false
}

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}
