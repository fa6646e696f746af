package detect

// bigramBits is how surprising it is, in words of English and of programs, that a letter follows another: a row for each first
// letter, a hexadecimal digit for each second one, in bits times 1.5. It was counted in Python's library, Go's network packages and
// texts of licences.
const bigramBits = "" +
	"b656cb7d7f9465f6e46399aa8d" + // a
	"49794dbc57d39a58e6594cde7b" + // b
	"4d8a4bc57f569a39d7847ccfaf" + // c
	"59a629bb3be7b859e6686bccaf" + // d
	"6a54889caec674a7a345c8a6bf" + // e
	"5c8854bc3ff5aa4ac5776ead8f" + // f
	"6a9b2a765ff6855af5596aefca" + // g
	"3db92bec4fb9893bf7857def9f" + // h
	"7857777fddc66257f755e7faf8" + // i
	"39983abb7d8bcc47b95b3dcc9c" + // j
	"69a82b8b4fc6c779b848896fad" + // k
	"4ba73acd3fd5b94afb677aef5d" + // l
	"37b82bfd4fb97b54fb786eedaf" + // m
	"5b55474c6f89b86afb5388dfaf" + // n
	"9866a88d9f865376f466687bdd" + // o
	"4c893ab96fb5ba46d4757cbf8f" + // p
	"bb98adcaaca8a89aa7680d9dcc" + // q
	"4a77298c4f987859f75689ae8f" + // r
	"7c6a3aa65e979966ca536cae8f" + // s
	"5c893ad53fe89a68f5577cad7c" + // t
	"7678678f7fe56396f454cffbfe" + // u
	"3cae1acb4fea8a6bfaabebbdee" + // v
	"3a9749a53ff8a55bb45abc9bef" + // w
	"695947a95ee79993d973bcd78a" + // x
	"987858a95fe76563e844a98e99" + // y
	"5c9c1ac94cd8796cd8aabdac97" // z

// surprise is how many bits a text has for somebody who expects words, numbers and names made of them. Words have 3 to 4 bits
// for each character, random letters and digits 5 to 6.
func surprise(text string) float64 {
	total := 0.0
	for i := range len(text) {
		var before byte
		if i > 0 {
			before = text[i-1]
		}
		total += surpriseAfter(before, text[i])
	}
	return total
}

const (
	wordStart = 4.0 // bits of the first letter of a word
	digitBits = 3.0
	switching = 2.5 // from letters to digits, or back
	caseBits  = 1.5 // a capital after a small letter starts a word
	signBits  = 3.5
)

func surpriseAfter(before, c byte) float64 {
	switch {
	case isDigit(c):
		if isDigit(before) {
			return digitBits
		}
		if before != 0 && isAlnum(before) {
			return digitBits + switching
		}
		return digitBits
	case !isAlnum(c):
		return signBits
	case isDigit(before):
		return wordStart + switching
	case !isAlnum(before):
		return wordStart
	case isLower(before) && isUpper(c):
		return wordStart + caseBits
	}
	digit := bigramBits[int(before|0x20-'a')*26+int(c|0x20-'a')]
	if digit >= 'a' {
		digit -= 'a' - '0' - 10
	}
	return float64(digit-'0') / 1.5
}
