FROM scratch
COPY base /
RUN --mount=type=secret,id=netrc,target=/root/.netrc pkg install shout
COPY app /bin/app
CMD ["app"]
