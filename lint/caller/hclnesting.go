package caller

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The HCL parser calls itself for each bracket and for each operator.
const (
	maxBrackets  = 200
	maxOperators = 1000
)

// hclBracket is a bracket that is open.
type hclBracket struct {
	operators int  // that are open in front of it
	lines     bool // a line's end closes what is in it
}

// hclTooDeep finds where HCL is nested too deeply to be parsed.
func hclTooDeep(tokens hclsyntax.Tokens, _ hcl.Diagnostics) (line int, deep bool) {
	open := []hclBracket{{lines: true}}
	operators := 0
	for _, t := range tokens {
		inner := open[len(open)-1]
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc,
			hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			open = append(open, hclBracket{operators, t.Type == hclsyntax.TokenOBrace})
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			open = open[:max(len(open)-1, 1)]
			operators = inner.operators + 1 // an index is one
		case hclsyntax.TokenComma:
			operators = inner.operators
		case hclsyntax.TokenNewline:
			if inner.lines {
				operators = inner.operators
			}
		case hclsyntax.TokenIdent, hclsyntax.TokenNumberLit, hclsyntax.TokenStringLit, hclsyntax.TokenQuotedLit, hclsyntax.TokenComment:
		default:
			operators++
		}
		if len(open) > maxBrackets || operators > maxOperators {
			return t.Range.Start.Line, true
		}
	}
	return 0, false
}
