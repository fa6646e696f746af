package store

import (
	"context"
	"net/http"
	"strings"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/cloud"
	"github.com/tightlip/tightlip/secret/source/web"
)

var awsSecretsManager = kind{
	scheme: "aws-secretsmanager",
	about: secret.About{
		Form: "aws-secretsmanager:NAME#KEY", What: "a secret of AWS Secrets Manager, or a key of the JSON in it", Example: "aws-secretsmanager:ci/pip#password",
		Variables: cloud.AWSVariables(),
	},
	keys: []string{"region", "version-stage", "version-id"},
	who:  "aws sts get-caller-identity",
	read: func(ctx context.Context, r request) (found, error) {
		input := map[string]string{"SecretId": r.Path}
		for key, name := range map[string]string{"version-stage": "VersionStage", "version-id": "VersionId"} {
			if r.Get(key) != "" {
				input[name] = r.Get(key)
			}
		}
		var answer struct {
			SecretString *web.Text
			SecretBinary *web.Base64
		}
		err := awsCall(ctx, r, cloud.AWS{Who: "AWS Secrets Manager", Name: "secretsmanager", Variable: "SECRETS_MANAGER"}, web.Call{
			Header: http.Header{"X-Amz-Target": {"secretsmanager.GetSecretValue"}}, JSON: input, Into: &answer,
			Needs: "secretsmanager:GetSecretValue on " + r.Path + ", and kms:Decrypt if it has a key of its own",
		})
		switch {
		case err != nil:
			return found{}, err
		case answer.SecretBinary != nil:
			return found{value: answer.SecretBinary.Value, key: r.Field}, nil
		case answer.SecretString != nil:
			return found{value: answer.SecretString.Value, key: r.Field}, nil
		}
		return found{}, web.ErrMalformed
	},
}

var awsParameters = kind{
	scheme: "aws-ssm",
	about: secret.About{
		Form: "aws-ssm:/PATH#KEY", What: "a parameter of AWS Systems Manager, decrypted, or a key of the JSON in it", Example: "aws-ssm:/ci/pip",
		Variables: cloud.AWSVariables(),
	},
	keys: []string{"region"},
	who:  "aws sts get-caller-identity",
	read: func(ctx context.Context, r request) (found, error) {
		var answer struct {
			Parameter *struct{ Value web.Text }
		}
		err := awsCall(ctx, r, cloud.AWS{Who: "AWS Systems Manager", Name: "ssm", Variable: "SSM"}, web.Call{
			Header: http.Header{"X-Amz-Target": {"AmazonSSM.GetParameter"}},
			JSON:   map[string]any{"Name": r.Path, "WithDecryption": true}, Into: &answer,
			Needs: "ssm:GetParameter on " + r.Path + ", and kms:Decrypt if it has a key of its own",
		})
		if err == nil && answer.Parameter == nil {
			err = web.ErrMalformed
		}
		if err != nil {
			return found{}, err
		}
		return found{value: answer.Parameter.Value.Value, key: r.Field}, nil
	},
}

func awsCall(ctx context.Context, r request, service cloud.AWS, call web.Call) error {
	c, err := service.Client(ctx, r.cloud(), r.Or("region", arnRegion(r.Path)), nil)
	if err != nil {
		return err
	}
	call.Method, call.Path = http.MethodPost, "/"
	call.Header.Set("Content-Type", "application/x-amz-json-1.1")
	return c.Do(ctx, call)
}

// arnRegion is the region in arn:PARTITION:SERVICE:REGION:…, or "".
func arnRegion(id string) string {
	if parts := strings.SplitN(id, ":", 5); len(parts) == 5 && parts[0] == "arn" {
		return parts[3]
	}
	return ""
}
